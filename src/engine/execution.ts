/**
 * One attempt at a run: stages in order, tasks over the workers, each task committed as it ends.
 *
 * What is committed is skipped. A committed task whose spill was deleted (a finished run keeps none) runs
 * again only if a later task still needs it.
 */
import { rm } from 'node:fs/promises'
import { GristmillError } from '../core/errors.js'
import type { GroupMetrics, RunEvent, StageMetrics, StepMetrics } from '../observe/metrics.js'
import { commitOf, decideResultOf, filesOf, mapResultOf, packResultOf } from './commit-record.js'
import { addCounts, addStepMetrics } from './counters.js'
import { type DecideRound, decideRounds, type DoneDecision, type PlannedDecision } from './decide.js'
import type { MemoryGuard } from './memory.js'
import { type Allowance, findEmptied, GroupTally, guardError, withGroups } from './guard.js'
import { type Boundary, labelsAt, type Plan, type Stage } from './plan.js'
import type { PreparedPipeline } from './prepare.js'
import type { RunDirectory } from './run-directory.js'
import { StageProgress } from './stage-progress.js'
import { readSegment } from './spill-input.js'
import { Decided, type Outcome, type PlannedTask, TaskPlanner } from './tasks.js'
import { stageSetup } from './stage-setup.js'
import type { DecideResult, PackResult, PackTask, Task, TaskResult } from './task.js'
import type { WorkerPool } from './worker-pool.js'

export interface ExecutionContext {
  readonly prepared: PreparedPipeline
  readonly plan: Plan
  readonly directory: RunDirectory
  readonly pool: WorkerPool
  readonly memory: MemoryGuard
  readonly attempt: number
  readonly signal: AbortSignal
  readonly onEvent: (event: RunEvent) => void
  /** What the guard lets pass. */
  readonly allow: readonly Allowance[]
}

export class Execution {
  readonly #context: ExecutionContext
  readonly #planner: TaskPlanner
  /** Names of every task of the plan, for clearing away others. */
  readonly tasks = new Set<string>()
  /** Outcomes of each stage, in order. */
  readonly outcomes: Outcome[][] = []
  readonly stages: StageMetrics[] = []
  /** Rows by source and language that entered each step, and those it removed. */
  readonly shares: (GroupMetrics & { readonly step: string })[] = []
  /** Parameters that were found in the data, as JSON by the steps' labels. */
  readonly fitted = new Map<string, Buffer>()
  tasksRun = 0
  tasksSkipped = 0

  constructor(context: ExecutionContext) {
    this.#context = context
    this.#planner = new TaskPlanner(context.prepared, context.directory)
  }

  /** Runs all stages; returns the outcomes of the last, in output order. */
  async run(): Promise<readonly Outcome[]> {
    const { plan, pool, prepared } = this.#context
    for (const stage of plan.stages) pool.setStage(stageSetup(prepared, plan, stage))
    for (const stage of plan.stages) {
      const previous = plan.stages[stage.index - 1]
      const planned = previous?.boundary
        ? this.#planner.ofOutcomes(
            stage,
            this.outcomes[previous.index]!,
            previous.boundary,
            await this.#decide(previous, previous.boundary),
          )
        : undefined
      this.outcomes[stage.index] = await this.#runStage(stage, planned)
      this.#judge(stage)
    }
    return this.outcomes.at(-1)!
  }

  /** Runs the packing's windows, committed like any other task; returns them in order. */
  async runPacking(tasks: readonly PackTask[], label: string): Promise<PackResult[]> {
    const { directory } = this.#context
    const started = performance.now()
    const [runBefore, skippedBefore] = [this.tasksRun, this.tasksSkipped]
    await this.#forEachWorker(fromArray(tasks), async (task) => {
      this.tasks.add(task.name)
      const committed = directory.commitOf(task.name)
      if (committed && (await directory.hasFiles(committed))) this.tasksSkipped += 1
      else await this.#execute(task, label, () => {})
    })
    this.stages.push({
      name: label,
      tasksRun: this.tasksRun - runBefore,
      tasksSkipped: this.tasksSkipped - skippedBefore,
      wallSeconds: (performance.now() - started) / 1000,
      steps: [],
    })
    return tasks.map((task) => packResultOf(directory.commitOf(task.name)!))
  }

  /** Decides a boundary, in rounds; what earlier attempts decided is taken as it is. */
  async #decide(stage: Stage, boundary: Boundary): Promise<Decided> {
    const { directory, prepared } = this.#context
    const plan = (): DecideRound[] => {
      const outcomes = this.outcomes[stage.index]!
      const against = (boundary.dedup && prepared.against.get(boundary.dedup.label)) ?? []
      return decideRounds({ stage, boundary, outcomes, against, directory, kernelVersion: prepared.kernelVersion })
    }
    let done = await this.#recorded(plan())
    if (!done) {
      const scratch: string[] = []
      done = []
      for (const round of plan()) {
        scratch.push(...done.map(({ task }) => task.path))
        done = await this.#runRound(stage, round, round.plan(done))
      }
      for (const file of scratch) await rm(file, { force: true })
    }
    const files = done.map(({ task, result }) => ({ ...result.file, path: task.path }))
    const decided = new Decided(boundary, files, this.outcomes[stage.index]!)
    for (const { step, ref } of decided.fitted) this.fitted.set(step, await readSegment(ref))
    return decided
  }

  /** The last round, if all rounds are committed and its files are there. Others may be gone. */
  async #recorded(rounds: readonly DecideRound[]): Promise<DoneDecision[] | undefined> {
    const { directory } = this.#context
    const followed: { round: DecideRound; done: DoneDecision[] }[] = []
    for (const round of rounds) {
      const done: DoneDecision[] = []
      for (const { task } of round.plan(followed.at(-1)?.done ?? [])) {
        const commit = directory.commitOf(task.name)
        const trusted = round !== rounds.at(-1) || (commit && (await directory.hasDecisions(commit, task.path)))
        if (!commit || !trusted) return undefined
        done.push({ task, result: decideResultOf(commit) })
      }
      followed.push({ round, done })
    }
    for (const { round, done } of followed) {
      for (const { task } of done) this.tasks.add(task.name)
      this.tasksSkipped += done.length
      this.#addRound(round, done, { run: 0, skipped: done.length, seconds: 0 })
    }
    return followed.at(-1)?.done ?? []
  }

  async #runRound(stage: Stage, round: DecideRound, planned: readonly PlannedDecision[]): Promise<DoneDecision[]> {
    const { directory } = this.#context
    const started = performance.now()
    const results = new Map<string, DecideResult>()
    const missing: PlannedDecision[] = []
    for (const { task, parents } of planned) {
      this.tasks.add(task.name)
      const committed = directory.commitOf(task.name)
      if (committed && (await directory.hasDecisions(committed, task.path)))
        results.set(task.name, decideResultOf(committed))
      else missing.push({ task, parents })
    }
    const skipped = results.size
    this.tasksSkipped += skipped
    await this.#ensureSpills(stage, new Set(missing.flatMap(({ parents }) => parents)))
    await this.#forEachWorker(fromArray(missing), async ({ task }) => {
      const result = await this.#execute(task, round.name, () => {})
      if (result.kind === 'decide') results.set(task.name, result)
    })
    const done = planned.map(({ task }) => ({ task, result: results.get(task.name)! }))
    const seconds = (performance.now() - started) / 1000
    this.#addRound(round, done, { run: missing.length, skipped, seconds })
    return done
  }

  #addRound(
    round: DecideRound,
    done: readonly DoneDecision[],
    { run, skipped, seconds }: { readonly run: number; readonly skipped: number; readonly seconds: number },
  ): void {
    const counts = addCounts(done.map(({ result }) => result.counts))
    this.stages.push({
      name: round.name,
      tasksRun: run,
      tasksSkipped: skipped,
      wallSeconds: seconds,
      steps: [],
      ...(Object.keys(counts).length > 0 && { counts }),
    })
  }

  async #runStage(stage: Stage, planned: PlannedTask[] | undefined): Promise<Outcome[]> {
    const progress = this.#progressOf(stage, planned)
    const known = planned?.length ?? this.#context.prepared.splits.length
    this.#context.onEvent({ event: 'stage', stage: stage.name, tasks: known, skipped: 0 })
    const outcomes: (Outcome & { order: readonly [number, number] })[] = []
    if (planned) await this.#ensureSpills(this.#before(stage), await this.#parentsOfUncommitted(stage, planned))
    const { directory, pool } = this.#context
    const tasks = planned ? fromArray(planned) : this.#planner.ofSplits(stage, pool)
    const steps: StepMetrics[][] = []
    await this.#forEachWorker(tasks, async ({ task, order }) => {
      if (this.tasks.has(task.name)) {
        throw new GristmillError('GM_INTERNAL', `two tasks of stage '${stage.name}' have the name ${task.name}`)
      }
      this.tasks.add(task.name)
      if (!planned) progress.tasks += 1
      const committed = directory.commitOf(task.name)
      const skip = committed !== undefined && (await this.#isComplete(stage, committed.task))
      const result = skip ? mapResultOf(committed) : await this.#runMap(stage, task, progress)
      if (result.kind !== 'map') throw new GristmillError('GM_INTERNAL', 'a map task returned something else')
      if (skip) {
        progress.skipped += 1
        this.tasksSkipped += 1
      }
      await removeRead(task)
      steps.push([...result.steps])
      progress.add(result.counts)
      outcomes.push({ name: task.name, result: mapResultOf(directory.commitOf(task.name)!), order })
      progress.report()
    })
    progress.end()
    this.stages.push({
      name: stage.name,
      tasksRun: progress.run,
      tasksSkipped: progress.skipped,
      wallSeconds: progress.run === 0 ? 0 : progress.seconds,
      steps: addStepMetrics(steps),
    })
    return outcomes.toSorted((a, b) => a.order[0] - b.order[0] || a.order[1] - b.order[1])
  }

  #progressOf(stage: Stage, planned: readonly PlannedTask[] | undefined): StageProgress {
    const { prepared, onEvent } = this.#context
    const totalBytes = planned
      ? this.outcomes[stage.index - 1]!.reduce((sum, { result }) => sum + (result.spill?.bytes ?? 0), 0)
      : prepared.splits.reduce((sum, split) => sum + split.bytes, 0)
    return new StageProgress(stage.name, { tasks: planned?.length ?? 0, totalBytes, onEvent })
  }

  async #runMap(stage: Stage, task: Task, progress: StageProgress): Promise<TaskResult> {
    progress.run += 1
    const result = await this.#execute(task, stage.name, (rows, bytes) => {
      progress.active.set(task.name, { rows, bytes })
      progress.report()
    })
    progress.active.delete(task.name)
    return result
  }

  /** Whether a committed task needs no run: its files are there, and its keys. Its spill is looked at later. */
  async #isComplete(stage: Stage, name: string): Promise<boolean> {
    const { directory } = this.#context
    const commit = directory.commitOf(name)
    if (!commit || !(await directory.hasFiles(commit))) return false
    return stage.boundary === undefined || (await directory.hasKeys(commit))
  }

  #before(stage: Stage): Stage {
    return this.#context.plan.stages[stage.index - 1]!
  }

  async #parentsOfUncommitted(stage: Stage, planned: readonly PlannedTask[]): Promise<Set<string>> {
    const complete = await Promise.all(planned.map(async ({ task }) => this.#isComplete(stage, task.name)))
    return new Set(planned.flatMap(({ parents }, index) => (complete[index] ? [] : parents)))
  }

  /** Makes sure that the spills of the tasks `wanted` of stage `before` are there, running these again if not. */
  async #ensureSpills(before: Stage, wanted: ReadonlySet<string>): Promise<void> {
    const { directory, plan, pool } = this.#context
    const missing = new Set<string>()
    for (const { name, result } of this.outcomes[before.index]!) {
      if (wanted.has(name) && !(await directory.hasSpill(name, result))) missing.add(name)
    }
    if (missing.size === 0) return
    const grandparent = plan.stages[before.index - 1]
    let again: AsyncIterable<PlannedTask>
    if (grandparent?.boundary) {
      const decided = await this.#decide(grandparent, grandparent.boundary)
      const all = this.#planner.ofOutcomes(before, this.outcomes[grandparent.index]!, grandparent.boundary, decided)
      const some = all.filter(({ task }) => missing.has(task.name))
      await this.#ensureSpills(grandparent, new Set(some.flatMap((planned) => planned.parents)))
      again = fromArray(some)
    } else {
      again = this.#planner.ofSplits(before, pool)
    }
    await this.#forEachWorker(again, async ({ task }) => {
      if (missing.has(task.name)) await this.#execute(task, before.name, () => {})
      await removeRead(task)
    })
    const renewed = this.outcomes[before.index]!.map(({ name }) => ({
      name,
      result: mapResultOf(directory.commitOf(name)!),
    }))
    this.outcomes[before.index] = renewed
  }

  /** Runs a task and commits it. */
  async #execute(task: Task, stage: string, onProgress: (rows: number, bytes: number) => void): Promise<TaskResult> {
    const { pool, directory, attempt, memory, signal } = this.#context
    await memory.admit(signal)
    memory.taskStarted()
    const { result, seconds } = await pool.run(task, onProgress).finally(() => memory.taskEnded())
    await directory.commit(commitOf(task.name, stage, attempt, seconds, result), filesOf(result))
    this.tasksRun += 1
    return result
  }

  /** Adds what the tasks counted by source and language to the stage's metrics, and stops where one was emptied. */
  #judge(stage: Stage): void {
    const { prepared, plan, allow } = this.#context
    const before = plan.stages[stage.index - 1]
    const steps = [...labelsAt(before?.boundary), ...stage.chain.map(({ label }) => label)]
    const tally = new GroupTally()
    for (const { result } of [...(this.outcomes[stage.index - 1] ?? []), ...this.outcomes[stage.index]!]) {
      // A commit of an earlier version has no counts.
      if (result.groups) tally.add(result.groups)
    }
    for (const step of steps) this.shares.push(...tally.ofStep(step).map((group) => ({ step, ...group })))
    const metrics = this.stages.at(-1)!
    this.stages[this.stages.length - 1] = withGroups(metrics, steps, tally)
    const guarded = steps.filter((label) => prepared.steps.find((step) => step.label === label)?.spec.guard !== 'off')
    const findings = findEmptied(tally, guarded, allow)
    if (findings.length > 0) throw guardError(findings)
  }

  /** Works on items with as many at once as there are workers; the first failure stops all. */
  async #forEachWorker<T>(items: AsyncIterable<T>, work: (item: T) => Promise<void>): Promise<void> {
    const { pool, signal } = this.#context
    const iterator = items[Symbol.asyncIterator]()
    const failures: unknown[] = []
    // One more than workers: while one result is committed, the thread is busy with the next task.
    const lanes = Array.from({ length: pool.workers + 1 }, async () => {
      while (failures.length === 0 && !signal.aborted) {
        try {
          const next = await iterator.next()
          if (next.done) return
          await work(next.value)
        } catch (error) {
          failures.push(error)
          pool.stop()
        }
      }
    })
    await Promise.all(lanes)
    await iterator.return?.()
    if (signal.aborted) throw new GristmillError('GM_INTERRUPTED', 'the run was interrupted')
    if (failures.length > 0) throw mainFailure(failures)
  }
}

/** The failure to report: interruptions of other tasks follow from it. */
function mainFailure(failures: readonly unknown[]): unknown {
  return failures.find((error) => !(error instanceof GristmillError && error.code === 'GM_INTERRUPTED')) ?? failures[0]
}

async function* fromArray<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items
}

/**
 * Deletes the scratch files that only a committed task read: spools and, where each spill has one reader,
 * its spill. Besides the room, this spares the disk: what is deleted before the kernel writes it back is
 * never written.
 */
async function removeRead(task: Task): Promise<void> {
  if (task.kind !== 'map') return
  if (task.input.kind === 'spill') await rm(task.input.spill.path, { force: true })
  if (task.input.kind !== 'split') return
  for (const { range } of task.input.split.pieces) {
    if (range.kind === 'spool') await rm(range.spool, { force: true })
  }
}
