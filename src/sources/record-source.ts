/**
 * What sources of records in byte streams share: planning, sampling columns and reading splits.
 *
 * JSON Lines, CSV and text each say how their records are found and which native reader takes them.
 */
import type { z } from 'zod'
import { GristmillError } from '../core/errors.js'
import type { Batch, Columns, ColumnType } from '../kernels/batch.js'
import { type RecordFormat, RecordReader } from '../kernels/readers.js'
import { planSplits, type SplitRule } from './byte-splits.js'
import { chooseColumns, type SampledColumns } from './column-choice.js'
import { cutFile } from './cutter.js'
import { openPieces } from './pieces.js'
import type { InputFile, PlanContext, ReadContext, SourceFormat, SourceOptions, Split } from './source.js'
import { isAllOfStandardInput } from './standard-input.js'

/** Bytes of text in a batch. */
const BATCH_BYTES = 2 << 20
/** Files a sample looks into. */
const SAMPLE_FILES = 16
/** Decompressed bytes a sample takes of all files, and at least of each. */
const SAMPLE_BYTES = 1 << 20
const SAMPLE_FILE_BYTES = 64 << 10

export interface RecordSource {
  readonly name: string
  readonly extensions: readonly string[]
  readonly options: z.ZodObject
  /** How records are found, which decides how files are split. */
  splitRule(options: SourceOptions): SplitRule
  /** The native reader's options. */
  native(options: SourceOptions): RecordFormat
  /** Whether records have columns beyond the document. */
  readonly hasColumns: boolean
}

export function defineRecordSource(source: RecordSource): SourceFormat {
  return {
    name: source.name,
    extensions: source.extensions,
    options: source.options,
    plan: (files, options, context) => planSplits(files, source.splitRule(options), context),
    cut: (file, options, spoolFolder, context) => cutFile(file, source.native(options), { spoolFolder }, context),
    columns: async (files, options, context) => {
      if (!source.hasColumns) return onlyDocument(source, options)
      return chooseColumns(await sample(source, files, options, context), options)
    },
    read: (split, columns, options, _predicate, context) => readSplit(source, split, columns, options, context),
  }
}

function onlyDocument(source: RecordSource, { columns, types }: SourceOptions): Columns {
  const asked = [...(columns ?? []), ...Object.keys(types)].find((name) => name !== 'text')
  if (asked === undefined) return [{ name: 'text', type: 'string' }]
  throw new GristmillError('GM_COLUMN_MISSING', `source.format ${source.name} has no column '${asked}', only text`, {
    hint: 'leave out source.columns and source.types',
  })
}

async function* readSplit(
  source: RecordSource,
  split: Split,
  columns: Columns,
  options: SourceOptions,
  context: ReadContext,
): AsyncGenerator<Batch> {
  using reader = RecordReader.open(source.native(options), {
    text: options.text,
    id: options.id,
    columns,
    countUnknown: source.hasColumns && options.columns === undefined,
    onMissing: options.onMissing,
    maxRecordBytes: options.maxRecordBytes,
  })
  for await (const { piece, start, chunks } of openPieces(split.pieces, context)) {
    reader.start(start)
    for await (const chunk of chunks) {
      context.signal.throwIfAborted()
      const target = Math.min(BATCH_BYTES, 2 * context.chunkBytes())
      for (let again = true; again;) {
        again = reader.push(chunk, target)
        report(reader, context)
        const batch = reader.takeBatch(target)
        if (batch !== undefined) yield batch
      }
      if (reader.done) break
    }
    const ended = reader.end()
    if (ended !== undefined) context.truncated(piece.file, ended.reason)
    report(reader, context)
  }
  const batch = reader.takeBatch(0)
  if (batch !== undefined) yield batch
}

function report(reader: RecordReader, context: ReadContext): void {
  const rejects = reader.takeRejects()
  if (rejects.length > 0) context.reject(rejects)
  const { consumed, pruned, unknown } = reader.takeCounts()
  if (consumed > 0) context.consumed(consumed)
  if (pruned > 0) context.pruned(pruned)
  for (const { name, rows } of unknown) context.unknownColumn?.(name, rows)
}

/** Looks at the start of a few files, evenly chosen. */
async function sample(
  source: RecordSource,
  files: readonly InputFile[],
  options: SourceOptions,
  context: PlanContext,
): Promise<SampledColumns> {
  using reader = RecordReader.sampler(source.native(options), options.maxRecordBytes)
  const chosen = sampledFiles(files.filter((file) => file.url === '-' || file.size > 0))
  const share = Math.max(SAMPLE_FILE_BYTES, Math.floor(SAMPLE_BYTES / Math.max(1, chosen.length)))
  const reading = { ...context, chunkBytes: () => SAMPLE_FILE_BYTES }
  const pieces = chosen.map((file) => ({ file, range: { kind: 'whole' } }) as const)
  for await (const { piece, start, chunks } of openPieces(pieces, reading)) {
    reader.start(start)
    const taken = await feed(reader, chunks, share)
    // The start of standard input may end inside a record, which would teach wrong types.
    if (taken && (piece.file.url !== '-' || (await isAllOfStandardInput(context.signal)))) reader.end()
  }
  const { records, columns } = reader.sampled()
  return { records, columns: columns.map(({ name, type }) => ({ name, type: type as ColumnType })) }
}

/** Pushes chunks until `share` bytes of records were taken; true when the file ended first. */
async function feed(reader: RecordReader, chunks: AsyncIterable<Uint8Array>, share: number): Promise<boolean> {
  let taken = 0
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += SAMPLE_FILE_BYTES) {
      reader.push(chunk.subarray(at, at + SAMPLE_FILE_BYTES), 2 ** 31)
      taken += reader.takeCounts().consumed
      if (taken >= share) return false
    }
  }
  return true
}

/** At most 16 of the files, spread evenly over the list, the first and the last among them. */
export function sampledFiles(files: readonly InputFile[]): InputFile[] {
  const count = Math.min(SAMPLE_FILES, files.length)
  const last = files.length - 1
  return Array.from({ length: count }, (_, nth) => files[count === 1 ? 0 : Math.round((nth * last) / (count - 1))]!)
}
