/**
 * `manifest.json`: what a finished run consists of. It is written last, so a directory without one is
 * unfinished. docs/run-directory.md documents every key; a test compares.
 */
import type { ColumnType } from '../kernels/batch.js'
import type { RowCounts } from './task.js'

export interface ManifestFile {
  /** Relative to the run directory, as in `shards/00000.bin`. */
  readonly name: string
  readonly bytes: number
  /** XXH3-64 of the block hashes as little-endian u64, 16 hexadecimal digits. */
  readonly checksum: string
  /** XXH3-64 (seed 0) of each MiB block, 16 hexadecimal digits each, concatenated. */
  readonly blocks: string
}

export interface ManifestShard {
  /** As in `00000`. */
  readonly name: string
  readonly rows: number
  /** Absent for sinks that write no tokens. */
  readonly tokens?: number
  readonly files: readonly ManifestFile[]
}

export interface ManifestPack {
  /** Tokens of a sequence. */
  readonly length: number
  readonly strategy: 'best-fit' | 'concat'
  readonly sequences: number
  readonly pieces: number
  readonly tokens: number
  readonly splitDocuments: number
  readonly truncatedTokens: number
  /** pieces.npy, documents.npy, boundaries.npy */
  readonly files: readonly ManifestFile[]
}

/** The rows a deduplication left, for later runs to compare theirs with. */
export interface ManifestIndex {
  /** The step's name in the records. */
  readonly step: string
  readonly kind: 'exact' | 'minhash'
  /** What it compares; another run's step must compare the same to use the index. */
  readonly compares: unknown
  /** `index/STEP/NNNNN.parquet` */
  readonly files: readonly (ManifestFile & { readonly rows: number })[]
}

export interface ManifestAttempt {
  /** From 1. */
  readonly attempt: number
  readonly startedAt: string
  /** Null when the process was killed. */
  readonly endedAt: string | null
  readonly outcome: 'done' | 'failed' | 'interrupted' | 'killed'
  readonly workers: number
  /** Tasks this attempt committed. */
  readonly tasksRun: number
  /** Tasks it found committed. */
  readonly tasksSkipped: number
}

export interface Manifest {
  readonly schemaVersion: 1
  readonly name: string
  readonly gristmillVersion: string
  readonly kernelVersion: string
  /** The pipeline with all defaults filled in; paths relative to the configuration. */
  readonly configuration: unknown
  readonly inputs: readonly { readonly path: string; readonly bytes: number; readonly fingerprint: string }[]
  /** rowsIn + added = rowsOut + removed + routed + quarantined + pruned */
  readonly totals: RowCounts
  /** Inputs that ended before their format said so. */
  readonly truncatedInputs: readonly { readonly path: string; readonly reason: string }[]
  readonly columns: readonly { readonly name: string; readonly type: ColumnType }[]
  /** How the inputs were read, so that a row can be read again; absent in runs of versions that did not say it. */
  readonly source?: {
    readonly format: string
    readonly columns: readonly { readonly name: string; readonly type: ColumnType }[]
  }
  /** The steps in order, by the names they have in records. */
  readonly steps?: readonly {
    readonly step: string
    /** Hash of what the step depends on besides its configuration: models, lists, tokenizers. */
    readonly version: string
  }[]
  /** What turned text into ids; `inspect --decode` reads it again. */
  readonly tokenizer?: {
    /** Relative to the configuration's folder. */
    readonly path: string
    /** XXH3-128 of the file, hexadecimal. */
    readonly checksum: string
    readonly vocabularySize: number
  }
  readonly attempts: readonly ManifestAttempt[]
  readonly shards: readonly ManifestShard[]
  readonly packs: readonly ManifestPack[]
  /** `removed/NNNNN.parquet` */
  readonly removed: readonly (ManifestFile & { readonly rows: number })[]
  /** `routed/STEP/NNNNN.parquet`; absent in runs of versions that routed none. */
  readonly routed?: readonly (ManifestFile & { readonly step: string; readonly rows: number })[]
  /** `edits/NNNNN.parquet`; absent in runs of versions that had none. */
  readonly edits?: readonly (ManifestFile & { readonly rows: number })[]
  /** `quarantine/NNNNN.jsonl` */
  readonly quarantine: readonly (ManifestFile & { readonly rows: number })[]
  readonly indexes: readonly ManifestIndex[]
  /** `stats/STEP/NAME.parquet`, `stats/shares.parquet`; absent in runs of versions that had none. */
  readonly statistics?: readonly (ManifestFile & { readonly rows: number })[]
  /** `fitted/STEP.json`: parameters that steps found in the data; absent in runs without any. */
  readonly fitted?: readonly (ManifestFile & { readonly step: string })[]
  /** Earlier runs whose rows were compared with. */
  readonly against: readonly {
    readonly step: string
    /** As the pipeline names it. */
    readonly run: string
    readonly rows: number
    /** XXH3-128 of the index files' checksums as JSON, hexadecimal. */
    readonly checksum: string
  }[]
  /** 0, or 3 when the share of bad records is over the stated one or an input was truncated. */
  readonly exitCode: 0 | 3
}
