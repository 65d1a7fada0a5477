/** The table of sink formats, by the name in `sink.format`. */
import { arrow } from './arrow.js'
import { jsonl } from './jsonl.js'
import { megatron } from './megatron.js'
import { parquet } from './parquet.js'
import type { SinkFormat } from './sink.js'

export const sinkFormats: ReadonlyMap<string, SinkFormat> = new Map(
  [megatron, parquet, jsonl, arrow].map((format) => [format.name, format]),
)
