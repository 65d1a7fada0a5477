/**
 * What sources of framed items share: files are read whole, one after the other, and their columns are found
 * from a sample, since the items of a file need not have the same ones.
 *
 * TFRecord and WebDataset each say which native reader takes them; MDS, whose shards name their columns,
 * shares the reading.
 */
import type { z } from 'zod'
import { GristmillError } from '../core/errors.js'
import type { Batch, Columns } from '../kernels/batch.js'
import type { FileColumn, Selection } from '../kernels/columnar.js'
import { type ItemFormat, ItemReader } from '../kernels/items.js'
import type { RangeStart } from '../kernels/readers.js'
import { estimate, groupSplits } from './byte-splits.js'
import { splitName } from './compression.js'
import { columnsOfSchemas } from './file-columns.js'
import { handOut } from './file-read.js'
import { openPieces } from './pieces.js'
import { sampledFiles } from './record-source.js'
import type { InputFile, PlanContext, ReadContext, SourceFormat, SourceOptions, Split } from './source.js'

/** Bytes of values in a batch. */
const BATCH_BYTES = 2 << 20
/** Stored bytes a sample takes of all files, and at least of each. */
const SAMPLE_BYTES = 1 << 20
const SAMPLE_FILE_BYTES = 64 << 10
/** More than a sample ever holds. */
const NO_TARGET = 2 ** 31

export interface ItemSource {
  readonly name: string
  readonly extensions: readonly string[]
  readonly options: z.ZodObject
  /** The native reader's options. */
  native(options: SourceOptions): ItemFormat
  /** How a file is compressed, where its name and its first bytes do not tell. */
  compression?(file: InputFile, options: SourceOptions): RangeStart['compression']
}

export function defineItemSource(source: ItemSource): SourceFormat {
  return {
    name: source.name,
    extensions: source.extensions,
    options: source.options,

    async plan(files) {
      refusePipe(files, source.name)
      return groupSplits(files.map((file) => ({ file, bytes: estimate(file, splitName(file.path).compression) })))
    },

    async columns(files, options, context) {
      refusePipe(files, source.name)
      const chosen = sampledFiles(files.filter((file) => file.size > 0))
      const found = await sample(source, chosen, options, context)
      const [file] = chosen
      const schemas = file === undefined || found === undefined ? [] : [{ file, columns: found }]
      return withTypes(columnsOfSchemas(schemas, options), found ?? [], options)
    },

    read: (split, columns, options, _predicate, context) => readSplit(source, split, columns, options, context),
  }
}

/** Items are found by walking a file, but which columns they have is found out before. */
export function refusePipe(files: readonly InputFile[], format: string): void {
  if (files.every((file) => file.url !== '-')) return
  throw new GristmillError('GM_CONFIG', `${format} cannot be read from standard input`, {
    hint: 'write it to a file first',
  })
}

/** Columns with the Arrow types they were found with, which whoever reads a split needs to know. */
export function withTypes(columns: Columns, found: readonly FileColumn[], { text }: SourceOptions): Columns {
  const types = new Map(found.map(({ name, arrowType }) => [name, arrowType]))
  return columns.map((column) => {
    const arrowType = types.get(column.name === 'text' ? text : column.name)
    return arrowType === undefined ? column : { ...column, arrowType }
  })
}

/** The rows and rejects a reader has, if they make a batch of `target` bytes. */
export function* takeRows(
  reader: ItemReader,
  target: number,
  unknown: readonly string[],
  context: ReadContext,
): Generator<Batch> {
  const read = reader.next(target)
  if (read === undefined) return
  yield* handOut(read, unknown, context)
  for (const { name, rows } of reader.takeUnknown()) context.unknownColumn?.(name, rows)
}

/** Bytes of values wanted in a batch now. */
export function batchTarget(context: ReadContext): number {
  return Math.min(BATCH_BYTES, 2 * context.chunkBytes())
}

async function* readSplit(
  source: ItemSource,
  split: Split,
  columns: Columns,
  options: SourceOptions,
  context: ReadContext,
): AsyncGenerator<Batch> {
  using reader = new ItemReader(source.native(options), options.maxRecordBytes)
  const wanted = columns.map(({ name, type, arrowType = 'Utf8' }) => ({
    name,
    source: name === 'text' ? options.text : name,
    type,
    arrowType,
  }))
  const found = wanted.map((column) => ({ name: column.source, arrowType: column.arrowType }))
  for await (const { piece, start, chunks } of openPieces(split.pieces, context)) {
    reader.start(start.file, source.compression?.(piece.file, options) ?? start.compression)
    reader.open(selectionOf(start.file, wanted, options), found, options.columns === undefined)
    for await (const chunk of chunks) {
      context.signal.throwIfAborted()
      const target = batchTarget(context)
      for (let again = true; again;) {
        again = reader.push(chunk, target)
        yield* takeRows(reader, target, [], context)
      }
      if (reader.done) break
    }
    const ended = reader.end()
    if (ended !== undefined) context.truncated(piece.file, ended.reason)
    yield* takeRows(reader, 0, [], context)
  }
}

/** An item without an id column is named by its place, like one of a file that has none. */
function selectionOf(file: string, columns: Selection['columns'], options: SourceOptions): Selection {
  const { id, onMissing, maxRecordBytes } = options
  return { file, id, columns, onMissing, maxRecordBytes }
}

/** Looks at the start of a few files; undefined when there was no item. */
async function sample(
  source: ItemSource,
  files: readonly InputFile[],
  options: SourceOptions,
  context: PlanContext,
): Promise<FileColumn[] | undefined> {
  using reader = new ItemReader(source.native(options), options.maxRecordBytes)
  const share = Math.max(SAMPLE_FILE_BYTES, Math.floor(SAMPLE_BYTES / Math.max(1, files.length)))
  const reading = { ...context, chunkBytes: () => SAMPLE_FILE_BYTES }
  const pieces = files.map((file) => ({ file, range: { kind: 'whole' } }) as const)
  for await (const { piece, start, chunks } of openPieces(pieces, reading)) {
    reader.start(start.file, source.compression?.(piece.file, options) ?? start.compression)
    if (await look(reader, chunks, share)) reader.end()
  }
  return reader.columns()
}

/** Pushes chunks until `share` bytes were taken and an item was seen; true when the file ended first. */
async function look(reader: ItemReader, chunks: AsyncIterable<Uint8Array>, share: number): Promise<boolean> {
  let taken = 0
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += SAMPLE_FILE_BYTES) {
      const part = chunk.subarray(at, at + SAMPLE_FILE_BYTES)
      reader.push(part, NO_TARGET)
      taken += part.length
      if (taken >= share && reader.columns() !== undefined) return false
    }
  }
  return true
}
