/**
 * The `arrow` sink: Arrow IPC files (`.arrow`, Feather version 2), uncompressed, so that readers map them
 * into memory.
 */
import { z } from 'zod'
import { openRowShards, shardLimits } from './row-shards.js'
import type { SinkFormat } from './sink.js'

const ArrowOptions = z.strictObject({ ...shardLimits })

export const arrow: SinkFormat = {
  name: 'arrow',
  summary: 'rows as Arrow IPC files, which map into memory without decoding',
  options: ArrowOptions,
  check() {
    // Every column type is an Arrow type.
  },
  open(options, context) {
    const { rowsPerShard, bytesPerShard } = ArrowOptions.parse(options)
    return openRowShards({ format: 'arrow', rowsPerShard, bytesPerShard }, context)
  },
}
