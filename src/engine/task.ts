/**
 * What crosses between the scheduler and the workers: tasks, results, and the stage they belong to.
 * Plain data throughout.
 */
import type { NativeEditCount, NativeFinishedFile } from '../../native/index.js'
import type { Columns } from '../kernels/batch.js'
import type { Block } from '../kernels/feeder.js'
import type { PackedWindow, PackOptions, PackShard } from '../kernels/packing.js'
import type { StepMetrics } from '../observe/metrics.js'
import type { WrittenShard } from '../sinks/sink.js'
import type { InputFile, SourceOptions, Split } from '../sources/source.js'
import type { IndexedFile } from './against.js'
import type { TaskGroups } from './guard.js'
import type { TaskIndex } from './index-output.js'
import type { SinkSpec } from './pipeline.js'
import type { Boundary, ChainStep, DedupBoundary, PartsPayload } from './plan.js'

/** A block of a spill; see crates/kernels/src/order/spill.rs. */
export interface SpillBlock {
  readonly bucket: number
  readonly offset: number
  readonly length: number
  readonly rows: number
  readonly checksum: string
}

export interface SpillFile {
  readonly path: string
  readonly bytes: number
  readonly rows: number
  readonly blocks: readonly SpillBlock[]
}

/** A stretch of a key or decision file, of one partition or group. */
export interface Segment {
  readonly group: number
  readonly offset: number
  readonly length: number
  readonly checksum: string
}

export interface SegmentFile {
  readonly path: string
  readonly bytes: number
  readonly segments: readonly Segment[]
}

export interface SegmentRef {
  readonly path: string
  readonly offset: number
  readonly length: number
}

/** What the boundary before a stage decided, for one of its tasks. */
export interface TaskDecisions {
  readonly duplicates: readonly SegmentRef[]
  /** Parameters that were found for steps of the stage, as JSON in files. */
  readonly fitted: readonly (SegmentRef & { readonly step: string })[]
  /** Rows with a sample hash above it are removed. */
  readonly sampleThreshold: { readonly hash: string; readonly seed: number; readonly label: string } | undefined
  /** The deduplication, as its records name it. */
  readonly dedup: {
    readonly step: string
    readonly rule: string
    readonly threshold: number | undefined
    /** Set where parts of texts are cut, not rows removed. */
    readonly cut: Pick<PartsPayload, 'column' | 'by'> | undefined
  }
}

export type TaskInput =
  | { readonly kind: 'split'; readonly split: Split }
  | { readonly kind: 'spill'; readonly spill: SpillFile; readonly decisions: TaskDecisions }
  | {
      readonly kind: 'bucket'
      readonly spills: readonly {
        readonly task: number
        readonly path: string
        readonly blocks: readonly SpillBlock[]
      }[]
      readonly decisions: TaskDecisions
    }

/** The part of a stage its tasks share; sent to every worker once. */
export interface StageSetup {
  readonly index: number
  readonly source:
    | { readonly format: string; readonly options: SourceOptions; readonly columns: Columns; readonly where: unknown }
    | undefined
  readonly chain: readonly ChainStep[]
  readonly columns: Columns
  readonly boundary: Boundary | undefined
  /** The deduplication before the stage, where it leaves an index. */
  readonly indexed: DedupBoundary | undefined
  readonly sink: SinkSpec
  /** Whether `removed/` has a column for texts, and whether rows that the boundary before removed fill it. */
  readonly keepText: { readonly column: boolean; readonly ofBoundary: boolean }
  readonly vocabularySize: number | undefined
}

/** One input through one stage's chain. */
export interface MapTask {
  readonly kind: 'map'
  readonly name: string
  readonly stage: number
  readonly input: TaskInput
  /** Local folder for unfinished files; files are named after the task. */
  readonly folder: string
  /** Local folder for spills. */
  readonly spillFolder: string
  /** Local folder for key files. */
  readonly keysFolder: string
  /** Packs the rows into a block in memory, for a trainer that waits for them, and writes no file at all. */
  readonly block?: PackOptions
}

/** What a task of a decision reads; `engine/decide.ts` says when and why. */
export type DecideWork =
  /** One file of an earlier run's index, cut into partitions. */
  | { readonly kind: 'against'; readonly file: IndexedFile }
  /** One partition of an exact deduplication; `run` for the keys of an earlier run. */
  | {
      readonly kind: 'exact'
      readonly keys: readonly (SegmentRef & { readonly task: number; readonly run: string | undefined })[]
    }
  /** One partition of a deduplication of parts of texts. */
  | { readonly kind: 'parts'; readonly keys: readonly (SegmentRef & { readonly task: number })[] }
  /** What the tasks saw for the step at a place of the boundary's `fit`. */
  | { readonly kind: 'fit'; readonly index: number; readonly seen: readonly SegmentRef[] }
  /** One partition of band keys; a base is the number of rows before, `known` that of earlier runs' rows. */
  | {
      readonly kind: 'buckets'
      readonly keys: readonly (SegmentRef & { readonly base: number })[]
      readonly known: number
    }
  /** All partitions' buckets. */
  | {
      readonly kind: 'components'
      readonly files: readonly string[]
      readonly bases: readonly number[]
      /** Rows of a group, about. */
      readonly target: number
    }
  /** One task's spill, or one file of an earlier run's index, for the rows that are candidates. */
  | {
      readonly kind: 'sets'
      readonly from: SpillFile | IndexedFile
      /** Its place: files of earlier runs, then tasks. */
      readonly part: number
      readonly wanted: SegmentRef
    }
  /** One group of candidates. */
  | {
      readonly kind: 'clusters'
      readonly parts: readonly {
        readonly run: string | undefined
        readonly task: number
        readonly base: number
        readonly sets: string
        readonly members: SegmentRef
      }[]
      readonly buckets: readonly SegmentRef[]
    }

/** A task of a deduplication's decision. */
export interface DecideTask {
  readonly kind: 'decide'
  readonly name: string
  readonly stage: number
  readonly boundary: Boundary
  /** The file it writes. */
  readonly path: string
  readonly work: DecideWork
}

/** One window of documents. */
export interface PackTask {
  readonly kind: 'pack'
  readonly name: string
  readonly stage: number
  readonly pack: PackOptions
  /** The shards the window lies in, in output order, with local copies of their .idx. */
  readonly shards: readonly PackShard[]
  /** Documents [from, to), counted over these shards. */
  readonly from: number
  readonly to: number
  /** Start of the part files' paths. */
  readonly prefix: string
}

export type Task = MapTask | DecideTask | PackTask

/** What became of the rows of a task, or of a run. */
export interface RowCounts {
  /** Records read, well-formed or not. */
  readonly rowsIn: number
  /** Rows made by steps that turn one row into several, beyond the first. */
  readonly added: number
  readonly rowsOut: number
  readonly removed: number
  /** Rows that steps took to `routed/`; absent in commits and runs of versions that routed none. */
  readonly routed?: number
  readonly quarantined: number
  /** Rows the source left out by request (`where`, `onMissing: skip`). */
  readonly pruned: number
  readonly tokens: number
  /** Bytes after decompression. */
  readonly decodedBytes: number
}

export interface MapResult {
  readonly kind: 'map'
  readonly counts: RowCounts
  readonly steps: readonly StepMetrics[]
  readonly shards: readonly WrittenShard[]
  /** The block, where the task asked for one. */
  readonly block?: Block
  readonly removed: (NativeFinishedFile & { readonly rows: number }) | undefined
  /** Files of routed rows, one for each step that routed any; absent in commits of versions that routed none. */
  readonly routed?: readonly (NativeFinishedFile & { readonly step: string; readonly rows: number })[]
  readonly removals: readonly { readonly step: string; readonly rule: string; readonly rows: number }[]
  readonly edits: (NativeFinishedFile & { readonly rows: number }) | undefined
  readonly edited: readonly NativeEditCount[]
  /** Rows by `source` and `lang`: what entered each step, what each removed. */
  readonly groups: TaskGroups
  /** What steps gathered over the task's rows; absent where none does. */
  readonly gathered?: readonly (NativeFinishedFile & { readonly step: string })[]
  readonly quarantine:
    | (NativeFinishedFile & { readonly rows: number; readonly codes: Readonly<Record<string, number>> })
    | undefined
  readonly spill: SpillFile | undefined
  readonly keys: SegmentFile | undefined
  /** The rows that the deduplication before the stage left, for later runs. */
  readonly index: TaskIndex | undefined
  /** The smallest sample hashes of the task's rows, rising, 16 hexadecimal digits each. */
  readonly sample: readonly string[] | undefined
  readonly truncated: readonly { readonly path: string; readonly reason: string }[]
  readonly unknownColumns: readonly string[]
  /** Documents by length: tokens if there are any, else bytes of text. */
  readonly lengths:
    | { readonly unit: 'tokens' | 'bytes'; readonly bins: readonly (readonly [number, number])[] }
    | undefined
}

export interface DecideResult {
  readonly kind: 'decide'
  readonly file: SegmentFile
  /** What was counted, for the report: `compared`, `overflow`, … */
  readonly counts: Readonly<Record<string, number>>
}

export interface PackResult {
  readonly kind: 'pack'
  readonly window: PackedWindow
}

export type TaskResult = MapResult | DecideResult | PackResult

/** From the scheduler to a worker. */
export type ToWorker =
  | { readonly type: 'stage'; readonly setup: StageSetup }
  | { readonly type: 'task'; readonly task: Task }
  | {
      readonly type: 'cut'
      readonly format: string
      readonly file: InputFile
      readonly options: SourceOptions
      readonly spoolFolder: string
    }
  | { readonly type: 'more' }
  | { readonly type: 'end' }

/** From a worker to the scheduler. */
export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'progress'; readonly rows: number; readonly bytes: number }
  | { readonly type: 'done'; readonly result: TaskResult; readonly seconds: number }
  | { readonly type: 'cut'; readonly split: Split }
  | { readonly type: 'cuts-end' }
  | { readonly type: 'failed'; readonly error: TransferredError }

/** An error as it crosses threads. */
export interface TransferredError {
  readonly code: string | undefined
  readonly message: string
  readonly hint: string | undefined
  readonly stack: string | undefined
  readonly cause: unknown
}
