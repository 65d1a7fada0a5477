/**
 * The `jsonl` sink: JSON Lines, zstd-compressed unless asked otherwise.
 *
 * Every row has every key, in column order, null where there is no value. Numbers are exact (NaN and
 * infinities, which JSON lacks, become null), columns of type `json` are embedded as they are, times are ISO
 * 8601 text, binary values base64.
 */
import { z } from 'zod'
import { openRowShards, shardLimits } from './row-shards.js'
import type { SinkFormat } from './sink.js'

const JsonlOptions = z.strictObject({
  compression: z
    .enum(['zstd', 'gzip', 'none'])
    .default('zstd')
    .describe(
      '`zstd` writes .jsonl.zst (frames of 8 MiB, which can be read in parallel), `gzip` .jsonl.gz, `none` .jsonl',
    ),
  ...shardLimits,
})

export const jsonl: SinkFormat = {
  name: 'jsonl',
  summary: 'rows as JSON Lines, zstd-compressed unless asked otherwise',
  options: JsonlOptions,
  check() {
    // Types without a form in JSON (intervals, unions) have no name here; the writer names the column.
  },
  open(options, context) {
    const { compression, rowsPerShard, bytesPerShard } = JsonlOptions.parse(options)
    return openRowShards({ format: 'jsonl', compression, rowsPerShard, bytesPerShard }, context)
  },
}
