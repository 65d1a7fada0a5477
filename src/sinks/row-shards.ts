/**
 * What the Parquet, Arrow and JSON Lines sinks share: the options that say when a shard is full, and the
 * writer over the native one. The columns of a shard are `id` (the user's, else "file:position"), `file`,
 * `position`, then the user's; where the user has a column of one of these names, ours becomes `file_2`.
 * Beside a shard that is no Parquet lies a filter of its ids, by which `why` finds the shard of a row.
 */
import { z } from 'zod'
import type { NativeRowShards } from '../../native/index.js'
import { ID_FILTER } from '../kernels/columnar.js'
import { addon, native } from '../kernels/native.js'
import type { Batch } from '../kernels/batch.js'
import type { SinkContext, SinkWriter, WrittenShard } from './sink.js'

/** A few hundred MiB is what dataset readers like: large enough to stream, small enough to share out. */
const BYTES_PER_SHARD = 256 * 2 ** 20

/** When a shard is full; options of every row sink. */
export const shardLimits = {
  rowsPerShard: z.int().positive().optional().describe('rows of a full shard; no limit when left out'),
  bytesPerShard: z
    .int()
    .positive()
    .default(BYTES_PER_SHARD)
    .describe('bytes of column values, before encoding and compression, that a shard of several rows does not exceed'),
}

export interface RowShardsOptions {
  readonly format: 'parquet' | 'arrow' | 'jsonl'
  readonly rowsPerShard: number | undefined
  readonly bytesPerShard: number
  readonly compression?: string
}

/** Opens a writer of row shards in the context's folder. */
export function openRowShards(options: RowShardsOptions, context: SinkContext): SinkWriter {
  const { format, rowsPerShard, bytesPerShard, compression } = options
  const { folder, baseName, columns } = context
  const jsonColumns = columns.filter((column) => column.type === 'json').map((column) => column.name)
  const shards = native(
    () =>
      new addon.NativeRowShards({
        format,
        folder,
        baseName,
        bytesPerShard,
        jsonColumns,
        ...(rowsPerShard === undefined ? {} : { rowsPerShard }),
        ...(compression === undefined ? {} : { compression }),
      }),
  )
  return new RowShardsWriter(shards)
}

class RowShardsWriter implements SinkWriter {
  readonly #shards: NativeRowShards

  constructor(shards: NativeRowShards) {
    this.#shards = shards
  }

  write(batch: Batch): void {
    native(() => this.#shards.write(batch.handle))
  }

  finish(): WrittenShard[] {
    const finished = native(() => this.#shards.finish())
    return finished.map(({ rows, suffix, file, ids }) => ({
      rows,
      tokens: undefined,
      files: [{ ...file, suffix }, ...(ids ? [{ ...ids, suffix: ID_FILTER }] : [])],
    }))
  }

  [Symbol.dispose](): void {
    this.#shards.dispose()
  }
}
