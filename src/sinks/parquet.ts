/**
 * The `parquet` sink: `.parquet` shards, zstd, row groups of at most 64 Ki rows or about 64 MiB.
 *
 * Token ids are written as list<int32>; times, nested columns and the like as they came.
 */
import { z } from 'zod'
import { openRowShards, shardLimits } from './row-shards.js'
import type { SinkFormat } from './sink.js'

const ParquetOptions = z.strictObject({ ...shardLimits })

export const parquet: SinkFormat = {
  name: 'parquet',
  summary: 'rows as Parquet files (zstd), which pandas, DuckDB, Spark, Polars and `datasets` read',
  options: ParquetOptions,
  check() {
    // Every column type has a Parquet form.
  },
  open(options, context) {
    const { rowsPerShard, bytesPerShard } = ParquetOptions.parse(options)
    return openRowShards({ format: 'parquet', rowsPerShard, bytesPerShard }, context)
  },
}
