/**
 * A whole run: lock, plan, execute, pack, publish, sum up.
 */
import { GristmillError, nearest } from '../core/errors.js'
import { lockStore } from '../io/lock.js'
import { openStores } from '../io/stores.js'
import type { ByteStore } from '../io/store.js'
import type { Metrics, RunEvent } from '../observe/metrics.js'
import { againstOf } from './against.js'
import { bundleModule } from './bundle.js'
import { Execution } from './execution.js'
import { gather } from './gather.js'
import { type Allowance, parseAllowance } from './guard.js'
import { identityOf } from './identity.js'
import type { Manifest, ManifestAttempt } from './manifest.js'
import { MemoryGuard, planMemory } from './memory.js'
import { packShards } from './pack.js'
import type { PipelineDefinition } from './pipeline.js'
import { type Plan, planStages } from './plan.js'
import { type PreparedPipeline, preparePipeline } from './prepare.js'
import { publicationOf } from './publish.js'
import type { Registry } from './registry.js'
import { refuseForeign, RunDirectory } from './run-directory.js'
import { makeManifest, makeMetrics } from './summary.js'
import { WorkerPool } from './worker-pool.js'

export interface RunOptions {
  /** Folder or `s3://` address of the run directory. */
  readonly out: string
  readonly workers: number
  readonly memoryBytes: number
  /** Local folder for scratch files; `work/` of the run directory by default. */
  readonly scratch?: string | undefined
  readonly signal?: AbortSignal | undefined
  readonly onEvent?: ((event: RunEvent) => void) | undefined
  readonly version: string
  /** Tells the workers which pipeline of the module is meant. */
  readonly signature: string
  /** What the guard lets pass, as `STEP` or `STEP:VALUE`. */
  readonly allow?: readonly string[] | undefined
  /** Draws `report.html`. */
  readonly renderReport: (metrics: Metrics) => string | Promise<string>
}

export interface RunResult {
  /** 0, or 3 when too many records were bad or an input was truncated. */
  readonly exitCode: 0 | 3
  readonly metrics: Metrics
  readonly manifest: Manifest
  readonly out: string
}

/** Runs a pipeline, or goes on with a run that was interrupted. */
export async function executeRun(
  definition: PipelineDefinition,
  registry: Registry,
  options: RunOptions,
): Promise<RunResult> {
  const stores = openStores()
  const signal = options.signal ?? new AbortController().signal
  const emit = options.onEvent ?? (() => {})
  try {
    const memory = planMemory(options.memoryBytes, options.workers)
    const prepared = await preparePipeline(definition, registry, stores, signal)
    const plan = planStages(
      prepared,
      prepared.splits.reduce((sum, split) => sum + split.bytes, 0),
    )
    const store = await stores.open(options.out)
    refuseRemoteRouting(prepared, store)
    refuseItself(prepared, store)
    const lock = await lockStore(store)
    try {
      return await new Run({ prepared, registry, plan, store, memory, signal, emit, options }).run()
    } finally {
      lock.release()
    }
  } finally {
    stores.close()
  }
}

/** Rows that a step routes stay on this machine. */
function refuseRemoteRouting({ steps }: PreparedPipeline, store: ByteStore): void {
  const step = steps.find(({ routes }) => routes)
  if (step === undefined || store.localFolder !== undefined) return
  throw new GristmillError(
    'GM_CONFIG',
    `'${step.label}' routes rows, which must stay on this machine, and the run directory ${store.url} is elsewhere`,
    { hint: 'give --out a local folder, or choose another action' },
  )
}

/** A run's own rows would all be duplicates of themselves. */
function refuseItself({ against }: PreparedPipeline, { url }: ByteStore): void {
  const own = [...against.values()].flat().find((file) => file.url === url)
  if (!own) return
  throw new GristmillError('GM_CONFIG', `against names ${own.run}, which is the run directory itself`, {
    hint: 'give new data a run directory of its own with --out',
  })
}

interface RunContext {
  readonly prepared: PreparedPipeline
  readonly registry: Registry
  readonly plan: Plan
  readonly store: ByteStore
  readonly memory: ReturnType<typeof planMemory>
  readonly signal: AbortSignal
  readonly emit: (event: RunEvent) => void
  readonly options: RunOptions
}

class Run {
  readonly #context: RunContext
  readonly #startedAt = new Date()
  readonly #started = performance.now()

  constructor(context: RunContext) {
    this.#context = context
  }

  async run(): Promise<RunResult> {
    const { store, options, prepared, emit } = this.#context
    const directory = await RunDirectory.open(store, options.scratch)
    await this.#checkConfiguration(directory)
    this.#announce()
    const attempts = await this.#pastAttempts(directory)
    await directory.loadCommits()
    const finished = await this.#alreadyDone(directory, attempts)
    if (finished) return finished

    const committed = [...directory.commits].length
    if (committed > 0) emit({ event: 'resume', tasksDone: committed })
    await directory.unpublish()
    await directory.clearUnfinished()
    await store.deleteUnfinished()
    const attempt: ManifestAttempt = {
      attempt: attempts.length + 1,
      startedAt: this.#startedAt.toISOString(),
      endedAt: null,
      outcome: 'killed',
      workers: options.workers,
      tasksRun: 0,
      tasksSkipped: 0,
    }
    await directory.writeAttempt(attempt)
    const module = prepared.bundleHash === undefined ? undefined : (await bundleModule(prepared.definition.module)).url
    return this.#attempt(directory, attempts, attempt, module)
  }

  async #attempt(
    directory: RunDirectory,
    past: readonly ManifestAttempt[],
    attempt: ManifestAttempt,
    module: string | undefined,
  ): Promise<RunResult> {
    const { prepared, plan, memory, signal, emit, options } = this.#context
    await using pool = new WorkerPool({
      workers: options.workers,
      chunkBytes: memory.chunkBytes,
      module,
      pipeline: options.signature,
    })
    using guard = new MemoryGuard(memory, pool)
    const stop = (): void => pool.stop()
    signal.addEventListener('abort', stop)
    const execution = new Execution({
      prepared,
      plan,
      directory,
      pool,
      memory: guard,
      attempt: attempt.attempt,
      signal,
      onEvent: emit,
      allow: (options.allow ?? []).map((text) => checkAllowance(parseAllowance(text), prepared)),
    })
    const end = (outcome: ManifestAttempt['outcome']): ManifestAttempt => ({
      ...attempt,
      endedAt: new Date().toISOString(),
      outcome,
      tasksRun: execution.tasksRun,
      tasksSkipped: execution.tasksSkipped,
    })
    try {
      if (signal.aborted) throw new GristmillError('GM_INTERRUPTED', 'the run was interrupted')
      const outcomes = await execution.run()
      const packs = plan.pack ? await packShards(plan.pack, outcomes, execution, directory) : undefined
      await directory.dropCommits(execution.tasks)
      const gathered = await gather(this.#context, execution, directory)
      const publication = publicationOf(execution.outcomes, packs, gathered.files)
      await directory.publish(publication.moves)
      const fitted = await directory.writeFitted(execution.fitted)
      const attempts = [...past, end('done')]
      const summary = {
        ...this.#context,
        execution,
        publication,
        fitted,
        packs,
        gathered,
        attempts,
        started: this.#startedAt,
        seconds: (performance.now() - this.#started) / 1000,
        memorySamples: guard.samples,
      }
      const metrics = makeMetrics(summary)
      const manifest = makeManifest(summary)
      await directory.store.write('metrics.json', `${JSON.stringify(metrics, null, 1)}\n`)
      await directory.store.write('report.html', await options.renderReport(metrics))
      await directory.store.write('manifest.json', `${JSON.stringify(manifest, null, 1)}\n`)
      await directory.writeAttempt(attempts.at(-1)!)
      await directory.writeFinished()
      await directory.clearScratch()
      const result: RunResult = { exitCode: manifest.exitCode, metrics, manifest, out: options.out }
      emit({ event: 'done', out: options.out, exitCode: manifest.exitCode, metrics })
      return result
    } catch (error) {
      const interrupted = error instanceof GristmillError && error.code === 'GM_INTERRUPTED'
      await directory.writeAttempt(end(interrupted ? 'interrupted' : 'failed')).catch(() => {}) // The first error is the one to report.
      throw error
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  /** A directory belongs to one configuration; only its inputs may grow. */
  async #checkConfiguration(directory: RunDirectory): Promise<void> {
    const { prepared, store } = this.#context
    const { paths: _paths, ...source } = prepared.definition.spec.source
    // What the guard lets pass changes no row, so it may change between attempts.
    const steps = prepared.definition.spec.steps.map(({ name, config }) => ({ name, config }))
    const spec = { ...prepared.definition.spec, source, steps, functions: prepared.bundleHash }
    const identity = identityOf(spec)
    const known = await directory.readConfiguration()
    if (!known) {
      await refuseForeign(store)
      await directory.writeConfiguration(identity, spec)
      return
    }
    if (known.identity === identity) return
    const difference = firstDifference(known.spec, JSON.parse(JSON.stringify(spec)) as unknown, '')
    throw new GristmillError('GM_RUN_OTHER_CONFIG', `${store.url} holds a run of another configuration: ${difference}`)
  }

  async #pastAttempts(directory: RunDirectory): Promise<ManifestAttempt[]> {
    const attempts = await directory.readAttempts()
    await directory.loadCommits()
    // A killed attempt could not write what it did; its commits say it.
    return attempts.map((attempt) => {
      if (attempt.endedAt !== null) return attempt
      const tasksRun = [...directory.commits].filter((commit) => commit.attempt === attempt.attempt).length
      return { ...attempt, tasksRun }
    })
  }

  /** A finished run of the same inputs has nothing to do. */
  async #alreadyDone(directory: RunDirectory, attempts: readonly ManifestAttempt[]): Promise<RunResult | undefined> {
    const { prepared, options, emit } = this.#context
    const manifest = await directory.readManifest()
    if (manifest && !(await directory.isFinished(manifest))) return undefined
    if (!manifest || prepared.inputs.some((input) => input.url === '-')) return undefined
    const inputs = prepared.inputs.map(({ path, size, fingerprint }) => ({ path, bytes: size, fingerprint }))
    if (identityOf(manifest.against) !== identityOf(againstOf(prepared.against))) return undefined
    if (identityOf(manifest.inputs) !== identityOf(inputs) || manifest.kernelVersion !== prepared.kernelVersion)
      return undefined
    const entry = await directory.store.stat('metrics.json')
    if (!entry) return undefined
    const metrics = JSON.parse((await directory.store.read('metrics.json', 0, entry.bytes)).toString()) as Metrics
    const now = new Date().toISOString()
    const attempt: ManifestAttempt = {
      attempt: attempts.length + 1,
      startedAt: this.#startedAt.toISOString(),
      endedAt: now,
      outcome: 'done',
      workers: options.workers,
      tasksRun: 0,
      tasksSkipped: [...directory.commits].length,
    }
    await directory.writeAttempt(attempt)
    const renewed = { ...manifest, attempts: [...attempts, attempt] }
    await directory.store.write('manifest.json', `${JSON.stringify(renewed, null, 1)}\n`)
    // A process that was killed just before its end left its scratch.
    await directory.clearScratch()
    emit({ event: 'resume', tasksDone: attempt.tasksSkipped })
    emit({ event: 'done', out: options.out, exitCode: manifest.exitCode, metrics })
    return { exitCode: manifest.exitCode, metrics, manifest: renewed, out: options.out }
  }

  #announce(): void {
    const { prepared, plan, options, memory, emit } = this.#context
    const inputBytes = prepared.inputs.reduce((sum, input) => sum + input.size, 0)
    emit({
      event: 'plan',
      name: prepared.definition.spec.name,
      stages: plan.stages.map((stage) => ({ name: stage.name, tasks: stage.index === 0 ? prepared.splits.length : 0 })),
      inputBytes,
      workers: options.workers,
      memoryBudgetBytes: memory.budgetBytes,
    })
    for (const { label, warnings } of prepared.steps) {
      for (const message of warnings) emit({ event: 'warning', code: label, message, hint: undefined })
    }
  }
}

/** An allowance for a step that the pipeline does not have is a slip. */
function checkAllowance(allowance: Allowance, { steps }: PreparedPipeline): Allowance {
  const labels = steps.map((step) => step.label)
  if (labels.includes(allowance.step)) return allowance
  const near = nearest(allowance.step, labels)
  throw new GristmillError('GM_USAGE', `--allow: the pipeline has no step '${allowance.step}'`, {
    hint: near === undefined ? `its steps are ${labels.join(', ')}` : `did you mean ${near}?`,
  })
}

/** Names the first place where two configurations differ, with both values. */
function firstDifference(a: unknown, b: unknown, at: string): string {
  const plain = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
  if (plain(a) && plain(b)) {
    for (const key of new Set([...Object.keys(a), ...Object.keys(b)])) {
      if (identityOf(a[key] ?? null) !== identityOf(b[key] ?? null)) {
        return firstDifference(a[key], b[key], at === '' ? key : `${at}.${key}`)
      }
    }
  }
  const show = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value))
  return `${at} was ${show(a)} and is ${show(b)}`
}
