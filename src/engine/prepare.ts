/**
 * Looks a pipeline up in the world: lists its inputs, finds its columns, prepares its steps. Everything
 * that can be wrong with a configuration shows here, before anything runs.
 */
import { GristmillError } from '../core/errors.js'
import { listInputs } from '../io/inputs.js'
import type { ByteStores } from '../io/store.js'
import type { Batch, Columns } from '../kernels/batch.js'
import { addon } from '../kernels/native.js'
import type { SinkFormat } from '../sinks/sink.js'
import type { InputFile, SequentialFile, SourceFormat, SourceOptions, Split } from '../sources/source.js'
import { parseExpression } from '../expressions/index.js'
import { findIndexes, type IndexedFile } from './against.js'
import { bundleModule } from './bundle.js'
import type { PipelineDefinition, StepSpec } from './pipeline.js'
import { isGlobal } from './plan.js'
import type { Registry } from './registry.js'
import { Chain } from './chain.js'
import { sampleRows } from './sample.js'

export interface PreparedStep {
  readonly spec: StepSpec
  readonly label: string
  readonly identity: unknown
  readonly payload: unknown
  readonly warnings: readonly string[]
  /** Whether rows are routed to files that stay on this machine. */
  readonly routes: boolean
  /** Columns that leave the step. */
  readonly columns: Columns
}

export interface PreparedPipeline {
  readonly definition: PipelineDefinition
  readonly inputs: readonly InputFile[]
  readonly source: SourceFormat
  readonly sourceOptions: SourceOptions
  readonly sourceColumns: Columns
  /** AST of `where`. */
  readonly where: unknown
  readonly sourceIdentity: unknown
  readonly steps: readonly PreparedStep[]
  /** Labels of the steps that leave the texts of the rows they remove in `removed/`. */
  readonly textsKeptBy: readonly string[]
  readonly sink: SinkFormat
  /** Columns the sink receives. */
  readonly columns: Columns
  readonly vocabularySize: number | undefined
  readonly kernelVersion: string
  /** Hash of the bundled user module; undefined without functions. */
  readonly bundleHash: string | undefined
  readonly splits: readonly (Split | SequentialFile)[]
  /** Indexes of earlier runs, by the label of the deduplication that compares with them. */
  readonly against: ReadonlyMap<string, readonly IndexedFile[]>
}

/** Prepares a pipeline; throws what the user must fix. */
export async function preparePipeline(
  definition: PipelineDefinition,
  registry: Registry,
  stores: ByteStores,
  signal: AbortSignal,
): Promise<PreparedPipeline> {
  const { spec } = definition
  const { source, inputs } = await findInputs(definition, registry, stores)
  const sourceOptions: SourceOptions = {
    text: spec.source.text,
    id: spec.source.id,
    columns: spec.source.columns,
    types: spec.source.types,
    onMissing: spec.source.onMissing,
    maxRecordBytes: spec.source.maxRecordBytes,
    format: checkOptions(source, spec.source.options),
  }
  const context = { stores, signal }
  const sourceColumns = await source.columns(inputs, sourceOptions, context)
  const where =
    spec.source.where === undefined ? undefined : parseExpression(spec.source.where, sourceColumns, 'source.where').ast
  const splits = await source.plan(inputs, sourceOptions, context)
  const bundleHash = definition.functions.length > 0 ? (await bundleModule(definition.module)).hash : undefined

  const steps = await prepareSteps(definition, registry, sourceColumns, async (before) => {
    const sample = await sampleRows({ source, splits, sourceColumns, sourceOptions, where, stores, signal })
    return runChain(sample, before, registry, definition)
  })
  refuseShownTexts(spec.steps, registry)
  const columns = steps.at(-1)?.columns ?? sourceColumns
  const sink = registry.sinks.get(spec.sink.format)
  if (!sink) throw new GristmillError('GM_CONFIG', `there is no sink format '${spec.sink.format}'`)
  sink.check(columns)
  if (steps.at(-1)?.spec.name === 'pack' && spec.sink.format !== 'megatron') {
    throw new GristmillError(
      'GM_CONFIG',
      `pack writes an index beside Megatron shards, but sink.format is '${spec.sink.format}'`,
      {
        hint: 'set sink.format to megatron, or drop the pack step',
      },
    )
  }
  const tokenizer = steps.findLast((step) => step.spec.name === 'tokenize')
  return {
    definition,
    inputs,
    source,
    sourceOptions,
    sourceColumns,
    where,
    sourceIdentity: { format: source.name, options: sourceOptions, columns: sourceColumns, where },
    steps,
    textsKeptBy: spec.keepRemovedText ? mayShowTexts(spec.steps, registry) : [],
    sink,
    columns,
    vocabularySize: (tokenizer?.payload as { vocabularySize?: number } | undefined)?.vocabularySize,
    kernelVersion: addon.kernelVersion(),
    bundleHash,
    splits,
    against: await findIndexes(steps, definition.baseFolder, stores),
  }
}

async function findInputs(
  { spec, baseFolder }: PipelineDefinition,
  registry: Registry,
  stores: ByteStores,
): Promise<{ source: SourceFormat; inputs: InputFile[] }> {
  const { format, paths } = spec.source
  const named = format === undefined ? undefined : registry.sources.get(format)
  if (format !== undefined && !named) throw new GristmillError('GM_CONFIG', `there is no source format '${format}'`)
  const extensions = named?.extensions ?? [...registry.sources.values()].flatMap((source) => source.extensions)
  const inputs = await listInputs(paths, baseFolder, extensions, stores)
  return { source: named ?? formatOf(inputs, registry), inputs }
}

/** The format that the inputs' extensions agree on. */
function formatOf(inputs: readonly InputFile[], registry: Registry): SourceFormat {
  const found = new Map<SourceFormat, string>()
  for (const { path } of inputs) {
    const bare = path.toLowerCase().replace(/\.(gz|zst|zstd)$/u, '')
    const source = [...registry.sources.values()].find((s) => s.extensions.some((e) => bare.endsWith(e)))
    if (!source) {
      throw new GristmillError('GM_CONFIG', `cannot tell the format of ${path} from its extension`, {
        hint: `set source.format to one of ${[...registry.sources.keys()].join(', ')}`,
      })
    }
    if (!found.has(source)) found.set(source, path)
  }
  if (found.size > 1) {
    const list = [...found].map(([source, path]) => `${source.name} (${path})`).join(', ')
    throw new GristmillError('GM_CONFIG', `the inputs have several formats: ${list}`, {
      hint: 'one pipeline reads one format: narrow source.paths',
    })
  }
  return [...found.keys()][0]!
}

function checkOptions(source: SourceFormat, options: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const parsed = source.options.safeParse(options)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new GristmillError('GM_CONFIG', `source.${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`)
}

async function prepareSteps(
  definition: PipelineDefinition,
  registry: Registry,
  sourceColumns: Columns,
  sampleAfter: (before: readonly PreparedStep[]) => Promise<Batch>,
): Promise<PreparedStep[]> {
  const { spec, baseFolder, functions } = definition
  const prepared: PreparedStep[] = []
  const labels = labelsOf(spec.steps)
  for (const [index, step] of spec.steps.entries()) {
    const known = registry.steps.get(step.name)
    if (!known) throw new GristmillError('GM_CONFIG', `there is no step '${step.name}'`)
    const label = labels[index]!
    const columns = prepared.at(-1)?.columns ?? sourceColumns
    // Only a function's result has to be tried out to know its columns.
    using sample = needsSample(step) ? await sampleAfter(prepared) : undefined
    const {
      identity,
      payload,
      warnings = [],
      routes = false,
      columns: out,
    } = await known.prepare(step.config, {
      columns,
      baseFolder,
      place: `steps[${index}].${step.name}`,
      sample,
      userFunction: (at: number) => functions[at]!,
    })
    prepared.push({ spec: step, label, identity, payload, warnings, routes, columns: out })
  }
  return prepared
}

/** Names of steps in records and metrics: the name, with a number where it occurs again. */
export function labelsOf(steps: readonly StepSpec[]): string[] {
  const seen = new Map<string, number>()
  return steps.map(({ name }) => {
    const count = (seen.get(name) ?? 0) + 1
    seen.set(name, count)
    return count === 1 ? name : `${name}-${count}`
  })
}

/**
 * Labels of the steps after the last that finds private data. Before and in such a step a text may hold some; after
 * one that only counts it, too.
 */
function mayShowTexts(steps: readonly StepSpec[], registry: Registry): string[] {
  const isPrivate = ({ name }: StepSpec): boolean => registry.steps.get(name)?.private === true
  const onlyCounts = ({ config }: StepSpec): boolean =>
    (config as { readonly mode?: unknown } | null)?.mode === 'annotate'
  if (steps.some((step) => isPrivate(step) && onlyCounts(step))) return []
  return labelsOf(steps).slice(steps.findLastIndex(isPrivate) + 1)
}

/** Pieces of texts in which private data is still to be found may be in no record and no report. */
function refuseShownTexts(steps: readonly StepSpec[], registry: Registry): void {
  const may = mayShowTexts(steps, registry)
  for (const [index, label] of labelsOf(steps).entries()) {
    const { name, config } = steps[index]!
    if (may.includes(label) || registry.steps.get(name)?.showsText?.(config) !== true) continue
    throw new GristmillError(
      'GM_CONFIG',
      `steps[${index}].${name}: it would show pieces of texts that may hold private data`,
      { hint: 'move it after the step that masks or removes private data, or count no n-grams' },
    )
  }
}

function needsSample(step: StepSpec): boolean {
  const config = step.config as { function?: unknown; columns?: unknown } | null
  return (
    step.name === 'map' && typeof config === 'object' && config?.function !== undefined && config.columns === undefined
  )
}

async function runChain(
  sample: Batch,
  steps: readonly PreparedStep[],
  registry: Registry,
  definition: PipelineDefinition,
): Promise<Batch> {
  const map = steps.filter((step) => !isGlobal(step))
  using chain = new Chain(
    map.map(({ spec, label, payload }) => ({ name: spec.name, label, payload, keepText: false })),
    registry,
    definition.functions,
  )
  return await chain.run(sample)
}
