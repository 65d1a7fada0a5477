/**
 * What a source format is: it lists splits from its inputs and options alone, and reads one split's rows
 * as batches. Each format is one file beside this one; `index.ts` is the table of them.
 */
import type { z } from 'zod'
import type { InputFile } from '../io/inputs.js'
import type { ByteStores } from '../io/store.js'
import type { Batch, Columns, ColumnType } from '../kernels/batch.js'

export type { InputFile }

/**
 * A stretch of one file that one task reads.
 *
 * - `whole`: the whole file.
 * - `bytes`: an uncompressed stretch that may start and end inside a record. It owns the records whose
 *   first byte s satisfies from < s <= to, and the one at 0 if from is 0; so any cuts give the same rows,
 *   and no split needs to see a byte before `from`.
 * - `exact`: uncompressed bytes [from, to) that hold whole records. `header` names the columns of a stretch
 *   (this or a `spool`) that comes after the file's header.
 * - `frames`: whole zstd frames; `from`/`to` are offsets in the decompressed stream with the rule of
 *   `bytes`, `storedFrom` is where the first frame starts in the file.
 * - `spool`: a cut of a stream that only one reader can decompress: `bytes` whole records lie in the
 *   local file `spool`, the first at decompressed offset `from`. `ended` says why the stream ends with this
 *   cut when it ends before its format says so; reading the cut reports it.
 * - `rowGroups`: row groups (Parquet), record batches (Arrow), samples (MDS) or documents (Megatron) [from, to).
 */
export type Range =
  | { readonly kind: 'whole' }
  | { readonly kind: 'bytes'; readonly from: number; readonly to: number }
  | { readonly kind: 'exact'; readonly from: number; readonly to: number; readonly header?: readonly string[] }
  | { readonly kind: 'frames'; readonly from: number; readonly to: number; readonly storedFrom: number }
  | {
      readonly kind: 'spool'
      readonly from: number
      readonly spool: string
      readonly bytes: number
      readonly header?: readonly string[]
      readonly ended?: { readonly corrupt: boolean; readonly reason: string }
    }
  | { readonly kind: 'rowGroups'; readonly from: number; readonly to: number; readonly firstRow: number }

export interface Piece {
  readonly file: InputFile
  readonly range: Range
}

/** What one task reads: pieces in row order, with an estimate of their decompressed bytes. */
export interface Split {
  readonly kind: 'split'
  readonly pieces: readonly Piece[]
  readonly bytes: number
}

/** A file only one reader can walk; it is cut into splits while the run goes on. */
export interface SequentialFile {
  readonly kind: 'sequential'
  readonly file: InputFile
  /** Estimate of the decompressed bytes. */
  readonly bytes: number
}

/** A record that could not be read; `offset` as in `Reject` of crates/kernels/src/reject.rs. */
export interface Reject {
  readonly file: string
  readonly offset: number
  readonly length: number
  readonly code: string
  readonly reason: string
  readonly bytes: Uint8Array
}

/** Options every format reads; the format's own are beside them in `FormatOptions`. */
export interface SourceOptions {
  /** Column that holds the document; called `text` from here on. Empty: none, for a look at the columns alone. */
  readonly text: string
  /** Column that holds the user's id; called `id` from here on. Absent columns are no error. */
  readonly id: string
  /** User columns to keep besides text and id; undefined keeps all. */
  readonly columns: readonly string[] | undefined
  /** Stated types, which win over inferred ones. */
  readonly types: Readonly<Record<string, ColumnType>>
  /** What happens to a row whose text is null, missing or no string. */
  readonly onMissing: 'quarantine' | 'skip' | 'empty'
  /** A longer record is quarantined by reference. */
  readonly maxRecordBytes: number
  /** The format's own options, already validated by its `options` schema. */
  readonly format: Readonly<Record<string, unknown>>
}

/** What reading a split needs. */
export interface ReadContext {
  readonly stores: ByteStores
  /** Bytes to read at a time now; shrinks under memory pressure. */
  chunkBytes(): number
  /** Takes records for quarantine. */
  reject(rejects: readonly Reject[]): void
  /** Counts rows the source left out by request (`onMissing: skip`, pruned row groups). */
  pruned(rows: number): void
  /** Counts rows that have a column which the sample did not show, so that it is not among the columns kept. */
  unknownColumn?(name: string, rows: number): void
  /** Reports an input that ended before its format said so; the run then exits with 3. */
  truncated(file: InputFile, reason: string): void
  /** Reports decompressed (or decoded) bytes that were consumed. */
  consumed(bytes: number): void
  readonly signal: AbortSignal
}

/** What planning and sampling need. */
export interface PlanContext {
  readonly stores: ByteStores
  readonly signal: AbortSignal
}

export interface SourceFormat {
  /** As in `source.format`. */
  readonly name: string
  /** File extensions without compression suffix, as in `.jsonl`. */
  readonly extensions: readonly string[]
  /** The format's own options. */
  readonly options: z.ZodObject
  /** Splits in row order; opens files only where it must (footers of large files, frame scans). */
  plan(files: readonly InputFile[], options: SourceOptions, context: PlanContext): Promise<(Split | SequentialFile)[]>
  /** Cuts a sequential file at record boundaries about every 64 MiB; spool files go to `spoolFolder`. */
  cut?(file: InputFile, options: SourceOptions, spoolFolder: string, context: PlanContext): AsyncGenerator<Split>
  /** The user columns (with `text`) the files have, from a look at the first of them. */
  columns(files: readonly InputFile[], options: SourceOptions, context: PlanContext): Promise<Columns>
  /** Rows of a split in order. `predicate` is a hint: rows it rules out by statistics may be left out (and counted). */
  read(
    split: Split,
    columns: Columns,
    options: SourceOptions,
    predicate: unknown,
    context: ReadContext,
  ): AsyncGenerator<Batch>
}
