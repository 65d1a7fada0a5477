/**
 * The `mds` source: shards of MosaicML Streaming, named themselves or by their `index.json`.
 *
 * The position of a row is its number in the shard. Columns are those of the shards' heads; the index beside a
 * shard, where there is one, is held against it: a shard that is not as long as the index says is not read.
 */
import { createHash, getHashes, type Hash } from 'node:crypto'
import { z } from 'zod'
import { GristmillError } from '../core/errors.js'
import type { Batch, Columns } from '../kernels/batch.js'
import type { FileColumn } from '../kernels/columnar.js'
import { ItemReader, MDS_START_BYTES, mdsHead } from '../kernels/items.js'
import type { RangeStart } from '../kernels/readers.js'
import { estimate } from './byte-splits.js'
import { splitName } from './compression.js'
import { columnsOfFiles, selectColumns, unknownColumns } from './file-columns.js'
import { locate, rejectFile, type StoredFile, unlessDamaged } from './file-read.js'
import { batchTarget, refusePipe, takeRows, withTypes } from './item-source.js'
import { cutEvenly, cutLarge } from './large-files.js'
import { type ListedShard, MdsIndexes, withListedShards } from './mds-index.js'
import type { InputFile, Piece, PlanContext, ReadContext, SourceFormat, SourceOptions, Split } from './source.js'

/** Heads that are read at a time. */
const CONCURRENT_FILES = 16
/** Stored bytes read at a time when only the head is wanted. */
const HEAD_CHUNK_BYTES = 64 << 10
/** More than a head ever holds. */
const NO_TARGET = 2 ** 31

export const mds: SourceFormat = {
  name: 'mds',
  extensions: ['.mds', 'index.json'],
  options: z.strictObject({}),

  async plan(files, _options, context) {
    refusePipe(files, 'mds')
    const shards = await withListedShards(files, context)
    const indexes = new MdsIndexes(context)
    return cutLarge(shards, {
      concurrent: CONCURRENT_FILES,
      canCut: (file) => compressionOf(file) === 'never',
      bytesOf: (file) => estimate(file, splitName(file.path).compression),
      cut: (file) => cutShard(file, indexes, context),
    })
  },

  async columns(files, options, context) {
    refusePipe(files, 'mds')
    const shards = await withListedShards(files, context)
    const found: FileColumn[] = []
    const columns = await columnsOfFiles(shards, options, async (file) => {
      const columns = await columnsOfShard(file, options, context)
      if (columns !== undefined) found.push(...columns)
      return columns
    })
    return withTypes(columns, found, options)
  },

  async *read(split, columns, options, _predicate, context) {
    const indexes = new MdsIndexes(context)
    for (const piece of split.pieces) {
      const { file } = piece
      const stored = await locate(file, context)
      const listed = await unlessDamaged(
        async () => checked(file, await indexes.of(file)),
        (reason) => rejectFile(file, 'mds-index', reason, context),
      )
      if (listed === undefined) continue
      using reader = new ShardReader(stored, columns, options, context, listed)
      yield* piece.range.kind === 'rowGroups' ? reader.readSamples(piece) : reader.readAll()
    }
  },
}

/** The index's word on a shard, none of it when there is no index; throws when the file is not as long. */
function checked(file: InputFile, listed: ListedShard | undefined): Partial<ListedShard> {
  if (listed === undefined || listed.bytes === file.size) return listed ?? {}
  const message = `index.json beside it says ${listed.bytes} bytes, the shard has ${file.size}`
  throw new GristmillError('GM_FORMAT', message)
}

/** A shard's first bytes are a number, which may look like those of a compressed file. */
function compressionOf(file: InputFile): RangeStart['compression'] {
  const { compression } = splitName(file.path)
  return compression === 'none' ? 'never' : compression
}

/** Splits of a large shard, by the table of its samples. One with checksums to check stays whole. */
async function cutShard(file: InputFile, indexes: MdsIndexes, context: PlanContext): Promise<Split[] | undefined> {
  context.signal.throwIfAborted()
  const listed = await unlessDamaged(
    async () => (await indexes.of(file)) ?? { hashes: {} },
    () => undefined,
  )
  if (listed === undefined || hashOf(listed.hashes) !== undefined) return undefined
  const { store, key } = await locate(file, context)
  const head = mdsHead(await store.read(key, 0, MDS_START_BYTES))
  return head && cutEvenly(file, head.samples, file.size)
}

/** The columns of a shard; undefined when it is damaged. */
async function columnsOfShard(
  file: InputFile,
  options: SourceOptions,
  context: PlanContext,
): Promise<FileColumn[] | undefined> {
  const { store, key } = await locate(file, context)
  using reader = new ItemReader({ format: 'mds' }, options.maxRecordBytes)
  reader.start(file.path, compressionOf(file))
  const { signal } = context
  for await (const chunk of store.stream(key, { chunkBytes: () => HEAD_CHUNK_BYTES, signal })) {
    reader.push(chunk, NO_TARGET)
    const columns = reader.columns()
    if (columns !== undefined) {
      refuseColumns(file, reader, options)
      return columns
    }
  }
  return undefined
}

/** A column that cannot be read is no reason to stop when it is not kept. */
function refuseColumns(file: InputFile, reader: ItemReader, { text, id, columns }: SourceOptions): void {
  const refused = reader.refused().find(({ name }) => columns === undefined || [text, id, ...columns].includes(name))
  if (refused === undefined) return
  const message = `${file.path}: column '${refused.name}' cannot be read: it is ${refused.reason}`
  throw new GristmillError('GM_COLUMN_TYPE', message, {
    hint: 'name the columns to keep in source.columns, without it',
  })
}

class ShardReader implements Disposable {
  readonly #stored: StoredFile
  readonly #columns: Columns
  readonly #options: SourceOptions
  readonly #context: ReadContext
  readonly #listed: Partial<ListedShard>
  readonly #reader: ItemReader
  /** Columns of the shard that are not kept, though nobody said which to keep; undefined before its head came. */
  #unknown: string[] | undefined
  /** Whether the index knows of other samples than the shard has, which is then not read. */
  #refused = false

  constructor(
    stored: StoredFile,
    columns: Columns,
    options: SourceOptions,
    context: ReadContext,
    listed: Partial<ListedShard>,
  ) {
    this.#stored = stored
    this.#columns = columns
    this.#options = options
    this.#context = context
    this.#listed = listed
    this.#reader = new ItemReader({ format: 'mds' }, options.maxRecordBytes)
    this.#reader.start(stored.file.path, compressionOf(stored.file))
  }

  /** All samples, which are read as a stream. */
  async *readAll(): AsyncGenerator<Batch> {
    const { file, store, key } = this.#stored
    const hash = hashOf(this.#listed.hashes ?? {})
    for await (const chunk of store.stream(key, this.#streaming())) {
      hash?.hash.update(chunk)
      yield* this.#push(chunk)
      if (this.#refused) return
      if (this.#reader.done && hash === undefined) break
    }
    yield* this.#end()
    const got = hash?.hash.digest('hex')
    if (hash === undefined || got === hash.expected) return
    const reason = `its ${hash.name} is ${got}, not ${hash.expected} as index.json says; its samples were read`
    rejectFile(file, 'mds-hash', reason, this.#context)
  }

  /** Samples [from, to), whose bytes the head tells. */
  async *readSamples({ range }: Piece): AsyncGenerator<Batch> {
    if (range.kind !== 'rowGroups') throw new TypeError('samples are read by their numbers')
    const { file, store, key } = this.#stored
    const head = mdsHead(await store.read(key, 0, MDS_START_BYTES))
    yield* this.#push(await store.read(key, 0, Math.min(head?.bytes ?? file.size, file.size)))
    if (this.#refused) return
    const bytes = this.#unknown === undefined ? undefined : this.#reader.seek(range.from, range.to)
    if (bytes !== undefined) {
      for await (const chunk of store.stream(key, { ...this.#streaming(), ...bytes })) {
        yield* this.#push(chunk)
        if (this.#reader.done) break
      }
    }
    yield* this.#end()
  }

  #streaming(): { chunkBytes(): number; signal: AbortSignal } {
    return { chunkBytes: () => this.#context.chunkBytes(), signal: this.#context.signal }
  }

  *#push(chunk: Uint8Array): Generator<Batch> {
    this.#context.signal.throwIfAborted()
    const target = batchTarget(this.#context)
    for (let again = true; again;) {
      again = this.#reader.push(chunk, target)
      if (this.#unknown === undefined) this.#open()
      if (this.#refused) return
      yield* takeRows(this.#reader, target, this.#unknown ?? [], this.#context)
    }
  }

  /** Chooses columns, once the head came. */
  #open(): void {
    const { file } = this.#stored
    const found = this.#reader.columns()
    if (found === undefined) return
    const { samples = this.#reader.items } = this.#listed
    if (samples !== this.#reader.items) {
      const reason = `index.json beside it says ${samples} samples, the shard has ${this.#reader.items}`
      rejectFile(file, 'mds-index', reason, this.#context)
      this.#refused = true
      return
    }
    refuseColumns(file, this.#reader, this.#options)
    this.#unknown = unknownColumns(found, this.#columns, this.#options)
    const selection = selectColumns(file, found, this.#columns, this.#options)
    this.#reader.open(selection, found, this.#options.columns === undefined)
  }

  *#end(): Generator<Batch> {
    const ended = this.#reader.end()
    if (ended !== undefined) this.#context.truncated(this.#stored.file, ended.reason)
    yield* takeRows(this.#reader, 0, this.#unknown ?? [], this.#context)
  }

  [Symbol.dispose](): void {
    this.#reader[Symbol.dispose]()
  }
}

/** The first checksum whose algorithm Node has. */
function hashOf(
  hashes: Readonly<Record<string, string>>,
): { readonly name: string; readonly hash: Hash; readonly expected: string } | undefined {
  const known = new Set(getHashes())
  for (const [name, expected] of Object.entries(hashes)) {
    const called = name.replace('_', '-')
    if (known.has(called)) return { name, hash: createHash(called), expected }
  }
  return undefined
}
