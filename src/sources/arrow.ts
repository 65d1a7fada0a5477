/**
 * The `arrow` source: Arrow IPC files (`.arrow`, Feather version 2) and streams, told apart by their first
 * bytes. Record batches are the splits of large files; a stream is read from its start.
 *
 * The position of a row is its number in the file. A file without a readable footer goes to quarantine as a
 * whole, a damaged record batch with its rows, the rest of a stream that breaks off with what came before kept.
 */
import { z } from 'zod'
import { mapConcurrent } from '../core/concurrent.js'
import type { Batch, Columns } from '../kernels/batch.js'
import {
  ARROW_TAIL_BYTES,
  ArrowFile,
  ArrowStream,
  arrowBatchRows,
  arrowFooterLength,
  type Block,
  type FileColumn,
} from '../kernels/columnar.js'
import { columnsOfFiles, selectColumns, unknownColumns } from './file-columns.js'
import {
  handOut,
  locate,
  readFooter,
  refuseStandardInput,
  rejectFile,
  type StoredFile,
  unlessDamaged,
} from './file-read.js'
import { cutGroups, cutLarge } from './large-files.js'
import type { InputFile, Piece, PlanContext, ReadContext, SourceFormat, SourceOptions, Split } from './source.js'

/** Files, and heads of record batches, that are read at a time. */
const CONCURRENT_FILES = 4
const CONCURRENT_BATCHES = 16
/** Bytes of a stream read at a time when only its schema is wanted. */
const SCHEMA_BYTES = 64 << 10
/** First bytes of a file; a stream starts with a message. */
const FILE_MAGIC = Buffer.from('ARROW1\0\0')

export const arrow: SourceFormat = {
  name: 'arrow',
  extensions: ['.arrow', '.arrows', '.feather', '.ipc'],
  options: z.strictObject({}),

  async plan(files, _options, context) {
    refuseStandardInput(files, 'Arrow IPC')
    return cutLarge(files, {
      concurrent: CONCURRENT_FILES,
      bytesOf: (file) => file.size,
      cut: (file) => cutFile(file, context),
    })
  },

  columns(files, options, context) {
    refuseStandardInput(files, 'Arrow IPC')
    return columnsOfFiles(files, options, async (file) => {
      const stored = await locate(file, context)
      return unlessDamaged(
        async () => ((await isFile(stored)) ? fileColumns(stored) : streamColumns(stored, context)),
        () => undefined,
      )
    })
  },

  async *read(split, columns, options, _predicate, context) {
    for (const piece of split.pieces) {
      const stored = await locate(piece.file, context)
      if (await isFile(stored)) yield* readFile(piece, stored, columns, options, context)
      else yield* readStream(stored, columns, options, context)
    }
  },
}

async function isFile({ store, key }: StoredFile): Promise<boolean> {
  return FILE_MAGIC.equals(await store.read(key, 0, FILE_MAGIC.length))
}

async function openFile(stored: StoredFile): Promise<ArrowFile> {
  return new ArrowFile(await readFooter(stored, ARROW_TAIL_BYTES, arrowFooterLength))
}

async function fileColumns(stored: StoredFile): Promise<FileColumn[]> {
  using file = await openFile(stored)
  return file.columns()
}

async function streamColumns({ store, key }: StoredFile, { signal }: PlanContext): Promise<FileColumn[] | undefined> {
  using stream = new ArrowStream()
  for await (const chunk of store.stream(key, { chunkBytes: () => SCHEMA_BYTES, signal })) {
    stream.push(chunk)
    const columns = stream.columns()
    if (columns !== undefined) return columns
  }
  return undefined
}

/** Splits of a large file. A stream, and a file in which not even the heads can be read, stay whole. */
async function cutFile(file: InputFile, context: PlanContext): Promise<Split[] | undefined> {
  context.signal.throwIfAborted()
  const stored = await locate(file, context)
  const groups = await unlessDamaged(
    async () => {
      if (!(await isFile(stored))) return undefined
      using opened = await openFile(stored)
      return await mapConcurrent(opened.batches(), CONCURRENT_BATCHES, async (block) => {
        const { from, metadataBytes, to } = block
        const metadata = await stored.store.read(stored.key, from, Math.min(from + metadataBytes, file.size))
        return { rows: arrowBatchRows(metadata), bytes: to - from }
      })
    },
    () => undefined,
  )
  return groups && cutGroups(file, groups)
}

async function* readFile(
  { file, range }: Piece,
  stored: StoredFile,
  columns: Columns,
  options: SourceOptions,
  context: ReadContext,
): AsyncGenerator<Batch> {
  using opened = await unlessDamaged(
    () => openFile(stored),
    (reason) => rejectFile(file, 'arrow-footer', reason, context),
  )
  if (opened === undefined) return
  const found = opened.columns()
  opened.open(selectColumns(file, found, columns, options))
  const unknown = unknownColumns(found, columns, options)
  const readable = await unlessDamaged(
    async () => {
      for (const [number, block] of opened.dictionaries().entries()) {
        opened.readDictionary(number, await readBlock(stored, block))
      }
      return true
    },
    (reason) => rejectFile(file, 'arrow-batch', reason, context),
  )
  if (readable === undefined) return
  const blocks = opened.batches()
  const [from, to] = range.kind === 'rowGroups' ? [range.from, range.to] : [0, blocks.length]
  let row = range.kind === 'rowGroups' ? range.firstRow : 0
  for (const [number, block] of blocks.entries()) {
    if (number < from || number >= to) continue
    context.signal.throwIfAborted()
    const bytes = await readBlock(stored, block)
    const rows = await unlessDamaged(
      async () => arrowBatchRows(bytes.subarray(0, block.metadataBytes)),
      (reason) =>
        rejectRest(file, `record batch ${number}: rows from ${row} on cannot be read: ${reason}`, row, context),
    )
    if (rows === undefined) return
    opened.start(number, row, bytes)
    for (let read = opened.next(); read !== undefined; read = opened.next()) {
      yield* handOut(read, unknown, context)
    }
    row += rows
  }
}

function readBlock({ file, store, key }: StoredFile, { from, to }: Block): Promise<Buffer> {
  return store.read(key, Math.min(from, file.size), Math.min(to, file.size))
}

/** Without the number of rows in a record batch, the rows after it have no position. */
function rejectRest(file: InputFile, reason: string, row: number, context: ReadContext): void {
  const bytes = new Uint8Array(0)
  context.reject([{ file: file.path, offset: row, length: 0, code: 'arrow-batch', reason, bytes }])
  context.truncated(file, reason)
}

async function* readStream(
  { file, store, key }: StoredFile,
  columns: Columns,
  options: SourceOptions,
  context: ReadContext,
): AsyncGenerator<Batch> {
  using stream = new ArrowStream()
  let unknown: string[] | undefined
  const { signal } = context
  for await (const chunk of store.stream(key, { chunkBytes: () => context.chunkBytes(), signal })) {
    stream.push(chunk)
    const found = unknown === undefined ? stream.columns() : undefined
    if (found !== undefined) {
      stream.open(selectColumns(file, found, columns, options))
      unknown = unknownColumns(found, columns, options)
    }
    for (let read = stream.next(); read !== undefined; read = stream.next()) {
      yield* handOut(read, unknown ?? [], context)
    }
  }
  const reject = stream.finish(file.path, file.size)
  if (reject === undefined) return
  context.reject([reject])
  context.truncated(file, reject.reason)
}
