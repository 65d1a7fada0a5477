/** The table of source formats, and which of them a file's name means. */
import { arrow } from './arrow.js'
import { splitName } from './compression.js'
import { csv, tsv } from './csv.js'
import { jsonl } from './jsonl.js'
import { mds } from './mds.js'
import { megatron } from './megatron.js'
import { parquet } from './parquet.js'
import type { SourceFormat } from './source.js'
import { text } from './text.js'
import { tfrecord } from './tfrecord.js'
import { webdataset } from './webdataset.js'

export const sourceFormats: readonly SourceFormat[] = [
  jsonl,
  parquet,
  csv,
  tsv,
  text,
  arrow,
  mds,
  webdataset,
  tfrecord,
  megatron,
]

/** The format of that name, as in `source.format`. */
export function sourceFormat(name: string): SourceFormat | undefined {
  return sourceFormats.find((format) => format.name === name)
}

/** The format that a file's extension means; a compression suffix is looked through. */
export function formatOfPath(path: string): SourceFormat | undefined {
  const { stem } = splitName(path)
  const base = stem.slice(stem.lastIndexOf('/') + 1).toLowerCase()
  return sourceFormats.find((format) => format.extensions.some((extension) => base.endsWith(extension)))
}
