/**
 * What a sink format is: it writes a task's rows to finished local files; the engine publishes them.
 *
 * A writer cuts shards by what it has written, never by batch, so that bytes do not depend on batch sizes.
 */
import type { z } from 'zod'
import type { NativeFinishedFile } from '../../native/index.js'
import type { Batch, Columns } from '../kernels/batch.js'

/** One shard: files that belong together, as in `.bin`, `.idx` and `.docs.parquet`. */
export interface WrittenShard {
  readonly rows: number
  /** Tokens in the shard, for sinks that write tokens. */
  readonly tokens: number | undefined
  /** Finished files by the suffix of their final name, as in `.bin`; the published name is NNNNN + suffix. */
  readonly files: readonly (NativeFinishedFile & { readonly suffix: string })[]
}

export interface SinkWriter extends Disposable {
  /** Appends the selected rows of a batch; the batch stays the caller's. */
  write(batch: Batch): void
  /** Closes the last shard; a writer that saw no row returns none. */
  finish(): WrittenShard[]
  /** Disposing before `finish` leaves files behind that the engine deletes. */
}

export interface SinkContext {
  /** Local folder for the files, which exists. */
  readonly folder: string
  /** Start of every file name in it. */
  readonly baseName: string
  readonly columns: Columns
  /** Ids of the tokenizer's vocabulary (highest id + 1), when the pipeline tokenizes. */
  readonly vocabularySize: number | undefined
}

export interface SinkFormat {
  /** As in `sink.format`. */
  readonly name: string
  readonly summary: string
  readonly options: z.ZodObject
  /** Throws a GM_CONFIG error when the columns do not suit the format. */
  check(columns: Columns): void
  open(options: Readonly<Record<string, unknown>>, context: SinkContext): SinkWriter
}
