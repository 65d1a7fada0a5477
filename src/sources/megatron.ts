/**
 * The `megatron` source: documents that were tokenised already, from Megatron's `.idx` and the `.bin` beside it.
 *
 * The position of a row is the number of its document. An index that is damaged goes to quarantine as a whole, a
 * document whose ids lie outside of the `.bin` by itself.
 */
import { z } from 'zod'
import { mapConcurrent } from '../core/concurrent.js'
import { GristmillError } from '../core/errors.js'
import type { Batch, Columns } from '../kernels/batch.js'
import { MegatronFile, megatronHeadBytes } from '../kernels/megatron-file.js'
import { type CutFile, groupSplits } from './byte-splits.js'
import { columnsOfFiles, selectColumns } from './file-columns.js'
import { handOut, locate, rejectFile, type StoredFile, unlessDamaged } from './file-read.js'
import { refusePipe } from './item-source.js'
import { cutEvenly, WHOLE_BYTES } from './large-files.js'
import type { InputFile, Piece, PlanContext, ReadContext, SourceFormat, SourceOptions } from './source.js'

const CONCURRENT_FILES = 16
/** Documents whose place is looked up at a time. */
const WINDOW_DOCUMENTS = 16 << 10

export const megatron: SourceFormat = {
  name: 'megatron',
  extensions: ['.idx'],
  options: z.strictObject({}),

  async plan(files, _options, context) {
    refusePipe(files, 'megatron')
    return groupSplits(await mapConcurrent(files, CONCURRENT_FILES, (file) => cutFile(file, context)))
  },

  columns(files, options, context) {
    refusePipe(files, 'megatron')
    return columnsOfFiles(files, options, async (file) => {
      const opened = await unlessDamaged(
        async () => openFile(await locate(file, context), context),
        () => undefined,
      )
      using index = opened?.index
      return index?.columns()
    })
  },

  async *read(split, columns, options, _predicate, context) {
    for (const piece of split.pieces) yield* readPiece(piece, columns, options, context)
  },
}

/** The `.bin` of an `.idx`. */
function binUrl({ url, path }: InputFile): string {
  if (url.endsWith('.idx')) return `${url.slice(0, -'.idx'.length)}.bin`
  throw new GristmillError('GM_CONFIG', `${path} is no .idx`, { hint: 'name the .idx files in source.paths' })
}

interface OpenFile {
  readonly index: MegatronFile
  readonly bin: StoredFile
}

/** @throws GM_FORMAT when the index is damaged or has no `.bin`. */
async function openFile({ file, store, key }: StoredFile, context: Pick<PlanContext, 'stores'>): Promise<OpenFile> {
  const url = binUrl(file)
  const bin = await context.stores.locate(url)
  const entry = await bin.store.stat(bin.key)
  if (entry === undefined) throw new GristmillError('GM_FORMAT', `there is no ${url.split('/').at(-1)} beside it`)
  const index = new MegatronFile(await store.read(key, 0, megatronHeadBytes()), file.size, entry.bytes)
  return { index, bin: { file: { ...file, url, size: entry.bytes }, ...bin } }
}

/** The file as what it and its `.bin` are, and splits of it by documents where that is large. */
async function cutFile(file: InputFile, context: PlanContext): Promise<CutFile> {
  context.signal.throwIfAborted()
  const bin = await context.stores.locate(binUrl(file))
  const entry = await bin.store.stat(bin.key)
  // Rows depend on both files.
  const both = { ...file, fingerprint: `${file.fingerprint} ${entry?.fingerprint ?? 'none'}` }
  const bytes = file.size + (entry?.bytes ?? 0)
  if (entry === undefined || entry.bytes <= WHOLE_BYTES) return { file: both, bytes, cut: undefined }
  const opened = await unlessDamaged(
    async () => openFile(await locate(file, context), context),
    () => undefined,
  )
  if (opened === undefined) return { file: both, bytes, cut: undefined }
  using index = opened.index
  return { file: both, bytes, cut: cutEvenly(both, index.documents, entry.bytes, bytes) }
}

async function* readPiece(
  { file, range }: Piece,
  columns: Columns,
  options: SourceOptions,
  context: ReadContext,
): AsyncGenerator<Batch> {
  const stored = await locate(file, context)
  const opened = await unlessDamaged(
    () => openFile(stored, context),
    (reason) => rejectFile(file, 'megatron-index', reason, context),
  )
  if (opened === undefined) return
  using index = opened.index
  index.open(selectColumns(file, index.columns(), columns, options))
  const [from, to] = range.kind === 'rowGroups' ? [range.from, range.to] : [0, index.documents]
  for (let first = from; first < to;) {
    context.signal.throwIfAborted()
    const read = await startWindow(stored, index, first, Math.min(to, first + WINDOW_DOCUMENTS))
    yield* readWindow(opened, context)
    reportRejects(stored, index, context)
    first += read
  }
}

/** Looks up where documents [from, to) lie, or as many of them as fit a window; returns how many. */
async function startWindow({ store, key }: StoredFile, index: MegatronFile, from: number, to: number): Promise<number> {
  const ends = index.documentRange(from, to)
  const window = index.start(from, await store.read(key, ends.from, ends.to))
  if (window === undefined) return to - from
  const { lengths, pointers } = window
  index.place(await store.read(key, lengths.from, lengths.to), await store.read(key, pointers.from, pointers.to))
  return window.documents
}

async function* readWindow({ index, bin }: OpenFile, context: ReadContext): AsyncGenerator<Batch> {
  for (let ranges = index.ranges(); ranges !== undefined; ranges = index.ranges()) {
    context.signal.throwIfAborted()
    const chunks: Buffer[] = []
    for (const { from, to } of ranges) chunks.push(await bin.store.read(bin.key, from, to))
    const read = index.read(chunks)
    if (read !== undefined) yield* handOut(read, [], context)
  }
}

/** Documents that cannot be read; an index damaged in itself ends the run with exit code 3. */
function reportRejects({ file }: StoredFile, index: MegatronFile, context: ReadContext): void {
  const rejects = index.takeRejects()
  if (rejects.length === 0) return
  context.reject(rejects)
  const damaged = rejects.find(({ code }) => code !== 'record-too-long')
  if (damaged !== undefined) context.truncated(file, damaged.reason)
}
