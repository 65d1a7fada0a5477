/**
 * `metrics.json`: what a run measured. The report is drawn from nothing else, and `--json` events carry
 * parts of it.
 */
import type { RowCounts } from '../engine/task.js'
import type { Statistics } from '../kernels/stats.js'

export interface StepMetrics {
  /** Name of the step; `read`, `spill`, `write` and the like for the engine's own. */
  readonly step: string
  readonly rowsIn: number
  readonly rowsOut: number
  /** Bytes that came in: decompressed input for `read`, column bytes of the batches elsewhere. */
  readonly bytesIn: number
  readonly bytesOut: number
  /** Seconds a worker computed, summed over workers. */
  readonly busySeconds: number
  /** Seconds a worker waited for bytes, summed over workers. */
  readonly waitSeconds: number
  /** Rows whose tokens were taken over from an identical text; how many depends on which worker came first. */
  readonly reusedRows?: number
  /** Values of `source` and `lang` of which the step removed rows, where the data has such columns. */
  readonly groups?: readonly GroupMetrics[]
}

export interface GroupMetrics {
  /** `source` or `lang`, or `source,lang` for rows by both. */
  readonly column: string
  readonly value: string
  /** The language, where rows are counted by both. */
  readonly otherValue?: string
  /** Rows with the value that entered the step. */
  readonly rowsIn: number
  /** Those among them that it removed. */
  readonly removed: number
}

export interface StageMetrics {
  readonly name: string
  readonly tasksRun: number
  readonly tasksSkipped: number
  /** Wall-clock seconds of this attempt's tasks; 0 when all were skipped. */
  readonly wallSeconds: number
  readonly steps: readonly StepMetrics[]
  /** What a round of a deduplication counted; for `minhash-dedup: clusters`: pairs compared, and overflow. */
  readonly counts?: Readonly<Record<string, number>>
}

export interface Histogram {
  readonly unit: 'tokens' | 'bytes'
  /** Documents with length in [from, to), in rising order; bounds are powers of two. */
  readonly bins: readonly { readonly from: number; readonly to: number; readonly count: number }[]
}

export interface PackingMetrics {
  readonly length: number
  readonly strategy: string
  readonly sequences: number
  readonly documents: number
  readonly pieces: number
  readonly tokens: number
  /** Share of the positions that hold a token, 0 to 1. */
  readonly utilisation: number
  /** Documents cut into several pieces because they are longer than a sequence. */
  readonly splitDocuments: number
  /** Tokens cut off; 0 unless truncation was asked for. */
  readonly truncatedTokens: number
}

export interface Metrics {
  readonly schemaVersion: 1
  readonly name: string
  readonly gristmillVersion: string
  readonly startedAt: string
  readonly wallSeconds: number
  readonly workers: number
  readonly memoryBudgetBytes: number
  readonly totals: Omit<RowCounts, 'added'> & {
    readonly inputFiles: number
    /** Bytes as stored. */
    readonly inputBytes: number
    readonly shards: number
    readonly outputBytes: number
  }
  readonly stages: readonly StageMetrics[]
  readonly removals: readonly { readonly step: string; readonly rule: string; readonly rows: number }[]
  /** What steps changed in rows that stayed. */
  readonly edits?: readonly {
    readonly step: string
    readonly rule: string
    /** Rows the rule edited. */
    readonly rows: number
    /** How often it applied. */
    readonly count: number
    /** Bytes it took away or replaced. */
    readonly bytes: number
  }[]
  readonly quarantine: readonly { readonly code: string; readonly rows: number }[]
  readonly lengths: Histogram | undefined
  readonly packing: PackingMetrics | undefined
  /** What `stats` steps counted, by step; absent in runs of versions that had none. */
  readonly statistics?: readonly (Statistics & { readonly step: string })[]
  /** Resident memory of the process over the run. */
  readonly memory: readonly { readonly seconds: number; readonly rssBytes: number }[]
  /** The step that bounded the run, and how one sees it. */
  readonly bottleneck: { readonly step: string; readonly share: number; readonly explanation: string } | undefined
}

/** Events on standard output with `--json`, one object a line; also what the progress display reads. */
export type RunEvent =
  | {
      readonly event: 'plan'
      readonly name: string
      readonly stages: readonly { readonly name: string; readonly tasks: number }[]
      readonly inputBytes: number
      readonly workers: number
      readonly memoryBudgetBytes: number
    }
  | { readonly event: 'resume'; readonly tasksDone: number }
  | { readonly event: 'stage'; readonly stage: string; readonly tasks: number; readonly skipped: number }
  | {
      readonly event: 'progress'
      readonly stage: string
      readonly tasksDone: number
      readonly tasks: number
      readonly rows: number
      readonly bytes: number
      readonly totalBytes: number
      readonly seconds: number
      readonly rssBytes: number
    }
  | { readonly event: 'warning'; readonly code: string; readonly message: string; readonly hint: string | undefined }
  | { readonly event: 'done'; readonly out: string; readonly exitCode: number; readonly metrics: Metrics }
  | { readonly event: 'error'; readonly code: string; readonly message: string; readonly hint: string }
