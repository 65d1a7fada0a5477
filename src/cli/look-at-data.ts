/** What `init` can tell of data by looking: files, format, columns, which column is the document, a tokenizer. */
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename, join, relative, resolve } from 'node:path'
import { GristmillError } from '../core/errors.js'
import { listInputs } from '../io/inputs.js'
import { openStores } from '../io/stores.js'
import type { ByteStores } from '../io/store.js'
import type { Batch, ColumnType } from '../kernels/batch.js'
import { Tokenizer } from '../kernels/tokenizer.js'
import { registry } from '../registry.js'
import { formatOfPath } from '../sources/index.js'
import type { InputFile, SourceFormat, SourceOptions } from '../sources/source.js'
import { commonFolder, inputPatterns } from './input-patterns.js'
import { readStart } from './preview.js'

export interface FoundData {
  readonly name: string
  readonly format: string
  readonly paths: readonly string[]
  readonly files: number
  readonly bytes: number
  /** Column that holds the document, by its name in the files. */
  readonly text: string
  /** Average bytes of a document in the sample; undefined when there was none. */
  readonly textBytes: number | undefined
  readonly id: string | undefined
  /** The other columns. */
  readonly columns: readonly { readonly name: string; readonly type: ColumnType }[]
  readonly tokenizer: FoundTokenizer | undefined
}

export interface FoundTokenizer {
  /** Relative to the pipeline file. */
  readonly path: string
  readonly vocabularySize: number
  /** Token that ends a document, when there is a usual one. */
  readonly end: string | undefined
}

/** Looks at `data` (paths as the shell gave them) for a pipeline file in `folder`. */
export async function lookAtData(data: readonly string[], folder: string): Promise<FoundData> {
  const stores = openStores()
  try {
    const paths = data.map((path) => (isRemote(path) ? path : relative(folder, resolve(path)) || '.'))
    const { format, files } = await findFiles(paths, folder, stores)
    const columns = await lookAtColumns(format, files)
    return {
      name: nameOf(files, folder),
      format: format.name,
      paths: inputPatterns(files.map((file) => file.path)),
      files: files.length,
      bytes: files.reduce((sum, file) => sum + file.size, 0),
      ...columns,
      tokenizer: await findTokenizerFile(folder, data),
    }
  } finally {
    stores.close()
  }
}

const isRemote = (path: string): boolean => /^[a-z0-9]+:\/\//i.test(path)

/** The files of the format with the most bytes; what other tools and earlier runs left is not data. */
async function findFiles(
  paths: readonly string[],
  folder: string,
  stores: ByteStores,
): Promise<{ format: SourceFormat; files: InputFile[] }> {
  const extensions = [...registry.sources.values()].flatMap((format) => format.extensions)
  const listed = await listInputs(paths, folder, extensions, stores)
  const named = new Set(paths)
  const groups = new Map<SourceFormat, InputFile[]>()
  for (const file of listed) {
    const format = formatOfPath(file.path)
    if (format === undefined || (!named.has(file.path) && isLeftover(file.path))) continue
    groups.set(format, [...(groups.get(format) ?? []), file])
  }
  const bytes = (files: readonly InputFile[]): number => files.reduce((sum, file) => sum + file.size, 0)
  const [largest] = [...groups].sort(([, a], [, b]) => bytes(b) - bytes(a))
  if (largest === undefined) {
    throw new GristmillError('GM_INPUT_NONE', `no data files in ${paths.join(', ')}`, {
      hint: `name a folder or files; ${extensions.join(', ')} are read, plain or compressed`,
    })
  }
  return { format: largest[0], files: largest[1] }
}

function isLeftover(path: string): boolean {
  return (
    /(^|\/)(node_modules|\.[^/]+|runs|commits|quarantine|removed|shards|work)\//.test(path) ||
    /(^|\/)(package|package-lock|tsconfig|tokenizer)\.json$/.test(path)
  )
}

/** Named after the folder that holds all the data: `data` says nothing, so it becomes `corpus`. */
function nameOf(files: readonly InputFile[], folder: string): string {
  const parent = basename(resolve(folder, commonFolder(files.map((file) => file.path))))
  const name = parent.replaceAll(/[^\w.-]+/g, '-').replaceAll(/^[-.]+|[-.]+$/g, '')
  return name === '' || /^(data|input|inputs|raw|src)$/i.test(name) ? 'corpus' : name
}

interface Column {
  readonly name: string
  readonly type: ColumnType
}

/** Files that are looked into before giving up on empty ones. */
const SAMPLE_FILES = 4

type Columns = Pick<FoundData, 'text' | 'textBytes' | 'id' | 'columns'>

const LOOK: SourceOptions = {
  text: 'text',
  id: 'id',
  columns: undefined,
  types: {},
  // Whatever the column is called, every record is a row here.
  onMissing: 'empty',
  maxRecordBytes: 16 << 20,
  format: {},
}

/** The document is the text column with the most bytes a row; a column called text or content wins a near tie. */
async function lookAtColumns(format: SourceFormat, files: readonly InputFile[]): Promise<Columns> {
  for (const file of files.filter(({ size, url }) => size > 0 && url !== '-').slice(0, SAMPLE_FILES)) {
    for await (const { batch, columns, text } of readAnyText(format, file)) {
      const rows = batch.rows
      if (rows === 0) continue
      // The batch calls the column it was read with `text`.
      const named = columns.map(({ name, type }) => ({ name: name === 'text' ? text : name, type, in: name }))
      const tokens = named.find(({ type }) => type === 'tokens')
      if (tokens !== undefined) return { text: tokens.name, textBytes: undefined, id: idOf(batch), columns: named }
      const lengths = named
        .filter(({ type }) => type === 'string')
        .map((column) => ({ name: column.name, bytes: stringBytes(batch, column.in) / rows }))
      const longest = lengths.reduce((most, one) => (one.bytes > most.bytes ? one : most), { name: text, bytes: 0 })
      const usual = lengths.find(
        ({ name, bytes }) => /^(text|content)$/.test(name) && bytes > 0 && bytes >= longest.bytes / 2,
      )
      const { name, bytes } = usual ?? longest
      const empty = new Set(lengths.filter((column) => column.bytes === 0).map((column) => column.name))
      // A column `text` without a byte is one the files do not have.
      const others = named.filter((column) => column.name !== name && !(column.name === 'text' && empty.has('text')))
      return {
        text: name,
        textBytes: bytes,
        id: idOf(batch),
        columns: others.map((column) => ({ name: column.name, type: column.type })),
      }
    }
  }
  return { text: 'text', textBytes: undefined, id: undefined, columns: [] }
}

/** Batches of a file read with whatever string column it has as the document, `text` where there is one. */
async function* readAnyText(
  format: SourceFormat,
  file: InputFile,
): AsyncGenerator<{ batch: Batch; columns: readonly Column[]; text: string }> {
  const columns = await lookAtNames(format, file)
  const strings = columns.filter(({ name, type }) => type === 'string' && name !== 'text').map(({ name }) => name)
  try {
    for await (const read of readStart(format, file, LOOK)) yield { ...read, text: 'text' }
  } catch (error) {
    const [text] = strings
    if (!(error instanceof GristmillError) || error.code !== 'GM_COLUMN_MISSING' || text === undefined) throw error
    for await (const read of readStart(format, file, { ...LOOK, text })) yield { ...read, text }
  }
}

async function lookAtNames(format: SourceFormat, file: InputFile): Promise<readonly Column[]> {
  const stores = openStores()
  try {
    return await format.columns([file], { ...LOOK, text: '' }, { stores, signal: new AbortController().signal })
  } finally {
    stores.close()
  }
}

/** The column of ids, where the files have one. */
function idOf(batch: Batch): 'id' | undefined {
  return stringBytes(batch, 'id') > 0 ? 'id' : undefined
}

/** Bytes of a string column, from its offsets. */
function stringBytes(batch: Batch, name: string): number {
  const { buffers, offset } = batch.view(name)
  const [offsets] = buffers
  if (offsets === undefined) return 0
  const view = new Int32Array(offsets, offset * 4, batch.rows + 1)
  return (view[batch.rows] ?? 0) - (view[0] ?? 0)
}

const END_TOKENS = ['<|endoftext|>', '<|end_of_text|>', '<|end▁of▁sentence|>', '</s>', '<eos>', '[SEP]']

/** A tokenizer beside the pipeline file, beside the data, or one folder down. */
async function findTokenizerFile(folder: string, data: readonly string[]): Promise<FoundTokenizer | undefined> {
  const places = [folder, ...data.filter((path) => !isRemote(path)).map((path) => resolve(path))]
  for (const place of new Set(places)) {
    for (const path of [join(place, 'tokenizer.json'), ...(await oneDown(place))]) {
      const found = existsSync(path) ? readTokenizer(path, folder) : undefined
      if (found !== undefined) return found
    }
  }
  return undefined
}

async function oneDown(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => [])
  const folders = entries.filter(
    (entry) => entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules',
  )
  return folders.map(({ name }) => join(folder, name, 'tokenizer.json')).sort()
}

/** A file of that name that is no tokenizer is not ours to complain about. */
function readTokenizer(path: string, folder: string): FoundTokenizer | undefined {
  try {
    using tokenizer = Tokenizer.load(path)
    const near = relative(folder, path)
    return {
      path: near.startsWith('.') ? near : `./${near}`,
      vocabularySize: tokenizer.vocabularySize,
      end: END_TOKENS.find((token) => tokenizer.tokenId(token) !== undefined),
    }
  } catch (error) {
    if (error instanceof GristmillError) return undefined
    throw error
  }
}
