/**
 * From a prepared pipeline to stages.
 *
 * A stage is a source of rows, a chain of map steps, and an end: a boundary (a global step that needs the
 * whole data) or the sink. Adjacent global steps share one boundary where they can, so that rows are
 * spilled once: a deduplication, sample and shuffle, in this order, each at most once. Steps on tables whose
 * parameters are found in the data share one, too, where none of them needs what another one changes.
 */
import { GristmillError } from '../core/errors.js'
import type { Columns } from '../kernels/batch.js'
import type { PackOptions } from '../kernels/packing.js'
import type { TableOptions } from '../kernels/table.js'
import type { PreparedPipeline, PreparedStep } from './prepare.js'

/** Estimated bytes of text a shuffle bucket holds: what a worker sorts in memory, and about a shard. */
const BUCKET_BYTES = 64 * 2 ** 20
/** Estimated input bytes whose keys make one partition: about 30 MB of keys, for documents of a kilobyte. */
const PARTITION_BYTES = { exact: 256 * 2 ** 20, minhash: 128 * 2 ** 20, parts: 64 * 2 ** 20 } as const
/** Rows of earlier runs that make one partition more. */
const PARTITION_ROWS = 2 ** 17

/** What every deduplication of rows says about other runs. */
interface IndexedPayload {
  /** Earlier runs whose rows count as duplicates' keepers, as written. */
  readonly against: readonly string[]
  /** Whether the run leaves an index for later ones. */
  readonly index: boolean
}

/** Payload of `exact-dedup` on rows. */
export interface DedupPayload extends IndexedPayload {
  readonly kind: 'exact'
  readonly on: readonly string[]
  readonly normalize: 'none' | 'datatrove' | 'url'
  readonly keep: { readonly kind: 'first' | 'last' | 'longest' } | { readonly kind: 'highest'; readonly column: string }
}
/** Payload of `exact-dedup` on parts of a text; see crates/kernels/src/dedup/parts.rs. */
export interface PartsPayload {
  readonly kind: 'parts'
  readonly column: string
  readonly by: 'line' | 'paragraph'
  readonly normalize: 'none' | 'datatrove'
  readonly minCharacters: number
}
/** Payload of `minhash-dedup`; see crates/kernels/src/dedup/minhash/mod.rs. */
export interface MinhashPayload extends IndexedPayload {
  readonly kind: 'minhash'
  readonly shingle: 'word' | 'char'
  readonly size: number
  readonly normalize: 'datatrove' | 'none'
  readonly threshold: number
  readonly bands: number
  /** Minima in a band. */
  readonly rows: number
  readonly keep: { readonly kind: 'first' | 'longest' } | { readonly kind: 'highest'; readonly column: string }
  readonly cluster: 'greedy' | 'transitive'
}
/** Payload of `shuffle`. */
export interface ShufflePayload {
  readonly seed: number
}
/** Payload of `sample` with a count; with a fraction it is a map step. */
export interface SampleCountPayload {
  readonly count: number
  readonly seed: number
}
/** Payload of `missing`, `scale` and `encode`; see crates/kernels/src/tabular/mod.rs. */
export interface TablePayload {
  readonly kind: 'table'
  /** JSON of the step: what becomes of each column. What is to be found holds stand-ins. */
  readonly parameters: string
  readonly options: TableOptions
  /** Set where parameters are to be found in all rows, before the step. */
  readonly fit:
    | {
        /** Columns they are found in, and what for. */
        readonly reads: readonly { readonly column: string; readonly as: 'filling' | 'scale' | 'categories' }[]
        /** Columns it changes: `filled` where they had no value, maybe to `floats` from another type, or `made` anew. */
        readonly changes: readonly { readonly column: string; readonly as: Change }[]
        /** Columns without which a row is removed. */
        readonly drops: readonly string[]
        readonly maxCategories: number
      }
    | undefined
}
type Change = 'filled' | 'floats' | 'made'
/** A step whose parameters are found at a boundary; the stage after it carries the step out. */
export interface FitBoundary {
  readonly label: string
  /** As in the payload. */
  readonly parameters: string
  /** Columns without which a row will have been removed. */
  readonly without: readonly string[]
  readonly maxCategories: number
}
export interface ChainStep {
  /** Name in the pipeline file. */
  readonly name: string
  /** Name in records and metrics: the name, with a number where it occurs more than once. */
  readonly label: string
  readonly payload: unknown
  /** Whether `removed/` holds the texts of rows it removes. */
  readonly keepText: boolean
}

/** The deduplication of a boundary. */
export type DedupBoundary = (DedupPayload | MinhashPayload | PartsPayload) & {
  readonly label: string
  readonly partitions: number
}

/** What ends a stage that does not reach the sink. */
export interface Boundary {
  readonly dedup: DedupBoundary | undefined
  readonly sample: (SampleCountPayload & { readonly label: string }) | undefined
  readonly shuffle: { readonly seed: number; readonly buckets: number; readonly label: string } | undefined
  /** Steps that the stage after starts with, once their parameters are found; alone at their boundary. */
  readonly fit: readonly FitBoundary[] | undefined
}

export interface Stage {
  readonly index: number
  /** As in `read, normalize, exact-dedup`. */
  readonly name: string
  /** Where its rows come from. */
  readonly input: 'splits' | 'spills' | 'buckets'
  readonly chain: readonly ChainStep[]
  /** Columns that leave the chain. */
  readonly columns: Columns
  /** The global steps after the chain; undefined: the sink. */
  readonly boundary: Boundary | undefined
  /** Whether `removed/` holds the texts of rows that the step before the stage, at its boundary, removed. */
  readonly keepText: boolean
  /** What the stage does, for its tasks' names: everything but the inputs. */
  readonly identity: unknown
}

export interface Plan {
  readonly stages: readonly Stage[]
  readonly pack: (PackOptions & { readonly label: string }) | undefined
}

/** Cuts the steps into stages. `inputBytes` is the estimate of decompressed input: it sizes buckets and partitions. */
export function planStages(prepared: PreparedPipeline, inputBytes: number): Plan {
  const steps = [...prepared.steps]
  const last = steps.at(-1)
  const pack = last?.spec.name === 'pack' ? { ...(last.payload as PackOptions), label: last.label } : undefined
  if (pack) steps.pop()
  const misplaced = steps.find((step) => step.spec.name === 'pack')
  if (misplaced) {
    throw new GristmillError('GM_CONFIG', 'pack must be the last step', {
      hint: 'move pack to the end of steps: it packs the documents the sink has written',
    })
  }
  const stages: Stage[] = []
  let from = 0
  let decided = 0
  while (true) {
    const input = stages.at(-1)
    const start = stageEnd(steps, decided)
    const chain = steps.slice(from, start)
    const { boundary, end } = readBoundary(prepared, steps, start, inputBytes)
    stages.push(makeStage(prepared, stages.length, input, chain, boundary))
    // A boundary finds the parameters of steps; the next stage carries them out.
    from = boundary?.fit ? start : end
    decided = end
    if (!boundary) return { stages, pack }
  }
}

/** Whether a step is carried out at a boundary, not in a chain. */
export const isGlobal = (step: PreparedStep): boolean => !['fit', undefined].includes(globalKind(step))

/** Why a step ends a stage; undefined when it does not. */
function globalKind(step: PreparedStep): 'dedup' | 'sample' | 'shuffle' | 'fit' | undefined {
  if (step.spec.name === 'exact-dedup' || step.spec.name === 'minhash-dedup') return 'dedup'
  if (step.spec.name === 'shuffle') return 'shuffle'
  if (step.spec.name === 'sample' && (step.payload as Partial<SampleCountPayload>).count !== undefined) return 'sample'
  return fitOf(step) && 'fit'
}

/** What a step has to find in the data first; undefined for one that is no step on tables or has its parameters. */
export const fitOf = ({ payload }: Pick<PreparedStep, 'payload'>): TablePayload['fit'] =>
  (payload as TablePayload | null)?.kind === 'table' ? (payload as TablePayload).fit : undefined

/** Names of the steps that a boundary carries out, in the order they stand in the pipeline. */
export function labelsAt(boundary: Boundary | undefined): string[] {
  return [boundary?.dedup?.label, boundary?.sample?.label, boundary?.shuffle?.label].filter(
    (label) => label !== undefined,
  )
}

function stageEnd(steps: readonly PreparedStep[], from: number): number {
  let end = from
  while (end < steps.length && globalKind(steps[end]!) === undefined) end++
  return end
}

const ORDER = ['dedup', 'sample', 'shuffle'] as const

function readBoundary(
  prepared: PreparedPipeline,
  steps: readonly PreparedStep[],
  start: number,
  inputBytes: number,
): { boundary: Boundary | undefined; end: number } {
  if (steps[start] && globalKind(steps[start]) === 'fit') return fitBoundary(steps, start)
  let end = start
  let rank = -1
  const found: { dedup?: Boundary['dedup']; sample?: Boundary['sample']; shuffle?: Boundary['shuffle'] } = {}
  for (; end < steps.length; end++) {
    const step = steps[end]!
    const kind = globalKind(step)
    // A sample's decision must see what the deduplication left, so the two never share a boundary.
    if (kind === undefined || kind === 'fit' || ORDER.indexOf(kind) <= rank || (kind === 'sample' && found.dedup)) break
    // What is cut is known by task, not by bucket.
    if (found.dedup?.kind === 'parts') break
    rank = ORDER.indexOf(kind)
    const { label } = step
    if (kind === 'dedup') {
      found.dedup = dedupBoundary(step, { inputBytes, knownRows: rowsOf(prepared, step), later: steps.slice(end + 1) })
    } else if (kind === 'sample') {
      found.sample = { ...(step.payload as SampleCountPayload), label }
    } else {
      const { seed } = step.payload as ShufflePayload
      found.shuffle = { seed, label, buckets: Math.max(1, Math.ceil(inputBytes / BUCKET_BYTES)) }
    }
  }
  if (end === start) return { boundary: undefined, end }
  return { boundary: { dedup: found.dedup, sample: found.sample, shuffle: found.shuffle, fit: undefined }, end }
}

/** After which changes of a column, if any, something is known of it that was found before. */
const FOLLOWS = {
  filling: [undefined],
  scale: [undefined, 'filled', 'floats'],
  categories: [undefined, 'filled'],
} as const satisfies Readonly<Record<string, readonly (Change | undefined)[]>>

/**
 * The steps from `start` on whose parameters can be found together: in columns that none of those before changes. A
 * column that one of them only fills is no obstacle: its scale and its categories follow from those without, the number of
 * gaps and what is put into them.
 */
function fitBoundary(steps: readonly PreparedStep[], start: number): { boundary: Boundary; end: number } {
  const found: FitBoundary[] = []
  const changed = new Map<string, Change>()
  const without: string[] = []
  for (const step of steps.slice(start)) {
    const fit = fitOf(step)
    if (!fit || fit.drops.some((column) => changed.has(column))) break
    if (fit.reads.some(({ column, as }) => !(FOLLOWS[as] as readonly unknown[]).includes(changed.get(column)))) break
    without.push(...fit.drops)
    const { parameters } = step.payload as TablePayload
    found.push({ label: step.label, parameters, without: [...without], maxCategories: fit.maxCategories })
    for (const { column, as } of fit.changes) changed.set(column, changed.has(column) ? 'made' : as)
  }
  return {
    boundary: { dedup: undefined, sample: undefined, shuffle: undefined, fit: found },
    end: start + found.length,
  }
}

function dedupBoundary(
  { payload, label }: PreparedStep,
  {
    inputBytes,
    knownRows,
    later,
  }: { readonly inputBytes: number; readonly knownRows: number; readonly later: readonly PreparedStep[] },
): DedupBoundary {
  const given = payload as DedupPayload | MinhashPayload | PartsPayload
  // An index for near-duplicates holds texts: none is left of texts in which private data is still to be found.
  const isPrivate = given.kind === 'minhash' && later.some(({ spec }) => spec.name === 'pii')
  const dedup = isPrivate ? { ...given, index: false } : given
  const own = Math.ceil(inputBytes / PARTITION_BYTES[dedup.kind])
  return { ...dedup, label, partitions: Math.max(1, own) + Math.ceil(knownRows / PARTITION_ROWS) }
}

/** Rows of earlier runs a deduplication compares with. */
export function rowsOf({ against }: Pick<PreparedPipeline, 'against'>, { label }: { readonly label: string }): number {
  return (against.get(label) ?? []).reduce((sum, { rows }) => sum + rows, 0)
}

function makeStage(
  prepared: PreparedPipeline,
  index: number,
  previous: Stage | undefined,
  chain: readonly PreparedStep[],
  boundary: Boundary | undefined,
): Stage {
  const kept = prepared.textsKeptBy
  const input = !previous ? 'splits' : previous.boundary?.shuffle ? 'buckets' : 'spills'
  const first = input === 'splits' ? 'read' : input === 'buckets' ? 'gather' : 'reread'
  const fits = (boundary?.fit ?? []).map(({ label }) => `fit ${label}`)
  const ends = boundary ? [...labelsAt(boundary), ...fits] : ['write']
  return {
    index,
    name: [first, ...chain.map((step) => step.label), ...ends].join(', '),
    input,
    chain: chain.map((step) => ({
      name: step.spec.name,
      label: step.label,
      payload: step.payload,
      keepText: kept.includes(step.label),
    })),
    keepText: labelsAt(previous?.boundary).some((label) => kept.includes(label)),
    columns: chain.at(-1)?.columns ?? previous?.columns ?? prepared.sourceColumns,
    boundary,
    identity: {
      kernels: prepared.kernelVersion,
      source: index === 0 ? prepared.sourceIdentity : undefined,
      steps: chain.map((step) => [step.label, step.spec.config, step.identity]),
      boundary,
      // Left out where there is none, so that other pipelines' tasks keep their names.
      keptTexts: kept.length > 0 ? kept : undefined,
      sink: boundary ? undefined : prepared.definition.spec.sink,
      functions: prepared.bundleHash,
    },
  }
}
