/**
 * Finds a row in a finished run by its id: in the records of removed rows, among the routed rows and in the shards.
 *
 * Parquet files (removed rows, shards, the tables beside token shards) have a Bloom filter of the ids in each
 * row group, so that of ten million rows a few row groups are read. Other shards have one in `ids/`; those that it
 * lets pass are read to their end.
 */
import { posix } from 'node:path'
import type { Ast } from '../../expressions/index.js'
import { lookContext, wholeSplit } from '../../engine/look.js'
import type { Manifest } from '../../engine/manifest.js'
import type { Registry } from '../../engine/registry.js'
import type { ByteStore, ByteStores } from '../../io/store.js'
import type { Batch, Columns, ColumnType } from '../../kernels/batch.js'
import {
  bloomMayHold,
  ID_FILTER,
  PARQUET_TAIL_BYTES,
  ParquetFile,
  parquetFooterLength,
} from '../../kernels/columnar.js'
import { Expression } from '../../kernels/expression.js'
import { RowReader } from '../../kernels/rows.js'
import { mapConcurrent } from '../../core/concurrent.js'
import { GristmillError } from '../../core/errors.js'

/** Files looked into at once. */
const CONCURRENT_FILES = 8
/** Bytes before the end of a file that hold most footers. */
const FOOTER_BYTES = 64 << 10
const CHUNK_BYTES = 1 << 20
const MAX_RECORD_BYTES = 2 ** 30

/** Why a row was removed, as `removed/` has it, or routed, as `routed/` has it. */
export interface RemovedRecord {
  readonly step: string
  readonly rule: string
  readonly value: number | null
  readonly threshold: number | null
  readonly keeper: { readonly id: string; readonly file: string; readonly position: number } | undefined
  /** Rows that are alike under their keeper, where the step groups them. */
  readonly cluster: { readonly name: string; readonly size: number } | undefined
  /** Kept with `keepRemovedText`. */
  readonly text: string | undefined
  /** The file of `routed/` that holds the row; its text is read from none. */
  readonly routedTo?: string
}

/** A row of the run. */
export interface Found {
  readonly id: string
  readonly file: string
  readonly position: number
  /** Undefined: it stayed. */
  readonly removed: RemovedRecord | undefined
  /** Where it went, if it stayed. */
  readonly shard: { readonly file: string; readonly row: number; readonly tokens: number | undefined } | undefined
}

/** Files of a shard in which no row is told by its id. */
const NO_ROWS = /\.(bin|idx|bloom)$/u

type Values = Record<string, unknown>

/** All rows with an id, removed ones first, then routed ones, in the order of the run's files. */
export async function findById(
  store: ByteStore,
  manifest: Manifest,
  id: string,
  context: { readonly registry: Registry; readonly stores: ByteStores },
): Promise<Found[]> {
  const removed = await mapConcurrent(manifest.removed, CONCURRENT_FILES, async ({ name, bytes }) => {
    const rows = await rowsOfParquet(store, { name, bytes }, id)
    return rows.map(({ row }) => removedRow(id, row))
  })
  const routed = await mapConcurrent(manifest.routed ?? [], CONCURRENT_FILES, async ({ name, bytes, step }) => {
    const rows = await rowsAtHand(store, { name, bytes }, id)
    return rows.map(({ row }) => routedRow(id, name, step, row))
  })
  const kept = await mapConcurrent(manifest.shards, CONCURRENT_FILES, async ({ files }) => {
    const filter = files.find(({ name }) => name.endsWith(ID_FILTER))
    if (filter && !bloomMayHold(await store.read(filter.name, 0, filter.bytes), id)) return []
    const { name, bytes } = files.find((file) => !NO_ROWS.test(file.name))!
    const rows = name.endsWith('.parquet')
      ? await rowsOfParquet(store, { name, bytes }, id)
      : await rowsOfOther(store, { name, bytes }, id, context)
    return rows.map(({ row, at }) => keptRow(id, name, row, at, manifest.columns))
  })
  return [...removed.flat(), ...routed.flat(), ...kept.flat()]
}

/** Rows of a file that a run may be handed on without, and that its owner alone may read. */
async function rowsAtHand(
  store: ByteStore,
  file: { readonly name: string; readonly bytes: number },
  id: string,
): Promise<FoundRow[]> {
  try {
    return (await store.stat(file.name)) ? await rowsOfParquet(store, file, id) : []
  } catch (error) {
    if (error instanceof GristmillError && error.code === 'GM_IO') return []
    throw error
  }
}

function routedRow(id: string, name: string, step: string, row: Values): Found {
  // Ours come before the user's columns, whatever they are called beside these.
  const ours = (column: RegExp): unknown => row[Object.keys(row).find((key) => column.test(key)) ?? '']
  return {
    id,
    file: String(ours(/^file(_\d+)?$/u)),
    position: Number(ours(/^position(_\d+)?$/u)),
    removed: {
      step,
      rule: String(row['routed_rule']),
      value: row['routed_value'] as number | null,
      threshold: null,
      keeper: undefined,
      cluster: undefined,
      text: undefined,
      routedTo: name,
    },
    shard: undefined,
  }
}

function removedRow(id: string, row: Values): Found {
  const keeper = row['keeper']
  return {
    id,
    file: String(row['file']),
    position: Number(row['position']),
    removed: {
      step: String(row['step']),
      rule: String(row['rule']),
      value: row['value'] as number | null,
      threshold: row['threshold'] as number | null,
      keeper:
        typeof keeper === 'string'
          ? { id: keeper, file: String(row['keeper_file']), position: Number(row['keeper_position']) }
          : undefined,
      cluster:
        typeof row['cluster'] === 'string' ? { name: row['cluster'], size: Number(row['cluster_size']) } : undefined,
      text: typeof row['removed text'] === 'string' ? row['removed text'] : undefined,
    },
    shard: undefined,
  }
}

function keptRow(id: string, name: string, row: Values, at: number, columns: Manifest['columns']): Found {
  // The user's columns keep their names; ours give way (see crates/kernels/src/formats/row_layout.rs).
  const ours = (column: string): string => {
    const taken = (candidate: string): boolean => columns.some((one) => one.name === candidate)
    let candidate = column
    for (let number = 2; taken(candidate); number++) candidate = `${column}_${number}`
    return candidate
  }
  const tokens = row[ours('token_count')]
  return {
    id,
    file: String(row[ours('file')]),
    position: Number(row[ours('position')]),
    removed: undefined,
    shard: { file: name, row: at, tokens: typeof tokens === 'number' ? tokens : undefined },
  }
}

const isId = (id: string): Ast => ({
  kind: 'compare',
  op: '=',
  left: { kind: 'column', name: 'id', type: 'string' },
  right: { kind: 'literal', type: 'string', value: id },
})

/** A row's number in its file, and its columns but the document. */
interface FoundRow {
  readonly at: number
  readonly row: Values
}

/** The selected rows of a batch whose positions are row numbers. */
function readRows(batch: Batch, columns: Columns, ids: Expression): FoundRow[] {
  ids.prune(batch)
  if (batch.keptRows === 0) return []
  batch.change((handle) => handle.compact())
  const at = new BigUint64Array(batch.view('__position').buffers[0]!, batch.view('__position').offset * 8, batch.rows)
  using reader = new RowReader(batch, columns)
  return Array.from({ length: batch.rows }, (_, row) => ({ at: Number(at[row]), row: { ...reader.row(row) } }))
}

async function rowsOfParquet(
  store: ByteStore,
  { name, bytes }: { readonly name: string; readonly bytes: number },
  id: string,
): Promise<FoundRow[]> {
  using file = new ParquetFile(await footerOf(store, name, bytes))
  const idColumn = file.columns()[0]?.name ?? 'id'
  const groups = file.rowGroups()
  const candidates: { group: number; firstRow: number }[] = []
  let firstRow = 0
  for (const [group, { rows }] of groups.entries()) {
    const filter = file.bloomRange(group, idColumn)
    const may = filter === undefined || bloomMayHold(await store.read(name, filter.from, filter.to), id)
    if (may) candidates.push({ group, firstRow })
    firstRow += rows
  }
  if (candidates.length === 0) return []
  const columns = describing(file)
  const local = store.localFolder === undefined ? undefined : posix.join(store.localFolder, name)
  const selection = { file: name, id: idColumn, columns, onMissing: 'empty', maxRecordBytes: MAX_RECORD_BYTES } as const
  file.open(selection, local)
  const ids = new Expression(isId(id))
  const found: FoundRow[] = []
  for (const { group, firstRow: from } of candidates) {
    file.start(group, from, local === undefined ? await fetched(store, name, file, group) : [])
    for (let read = file.next(); read !== undefined; read = file.next()) {
      using batch = read.batch
      if (batch) found.push(...readRows(batch, columns, ids))
    }
  }
  return found
}

async function fetched(
  store: ByteStore,
  name: string,
  file: ParquetFile,
  group: number,
): Promise<{ from: number; bytes: Uint8Array }[]> {
  const ranges = file.ranges(group).filter(({ from, to }) => to > from)
  return Promise.all(ranges.map(async ({ from, to }) => ({ from, bytes: await store.read(name, from, to) })))
}

/** Columns that say what a row is; its document and the user's columns are looked up in the input. */
const DESCRIBING =
  /^((file|position|token_count)(_\d+)?|step|rule|value|threshold|keeper(_file|_position)?|cluster(_size)?|routed_(rule|value))$/u

function describing(file: ParquetFile): { name: string; source: string; type: ColumnType }[] {
  const isRemoved = file.columns().some(({ name }) => name === 'keeper_position')
  const columns = file.columns().slice(1)
  return columns.flatMap(({ name, type }) => {
    // Under another name, since a batch's `text` is a document with a policy for nulls.
    if (name === 'text') return isRemoved ? [{ name: 'removed text', source: name, type: 'string' as const }] : []
    const known = type === 'string' || type === 'int64' || type === 'float64'
    return DESCRIBING.test(name) && known ? [{ name, source: name, type }] : []
  })
}

async function footerOf(store: ByteStore, name: string, bytes: number): Promise<Uint8Array> {
  const from = Math.max(0, bytes - FOOTER_BYTES)
  const end = await store.read(name, from, bytes)
  const length = parquetFooterLength(end.subarray(Math.max(0, end.length - PARQUET_TAIL_BYTES)))
  const start = bytes - PARQUET_TAIL_BYTES - length
  if (start < 0) throw new GristmillError('GM_FORMAT', `${name} is too short for its footer`)
  if (start >= from) return end.subarray(start - from, end.length - PARQUET_TAIL_BYTES)
  return store.read(name, start, bytes - PARQUET_TAIL_BYTES)
}

/** Shards of other formats are read as any input is. */
async function rowsOfOther(
  store: ByteStore,
  { name, bytes }: { readonly name: string; readonly bytes: number },
  id: string,
  { registry, stores }: { readonly registry: Registry; readonly stores: ByteStores },
): Promise<FoundRow[]> {
  const bare = name.replace(/\.(gz|zst)$/u, '')
  const format = [...registry.sources.values()].find((one) => one.extensions.some((end) => bare.endsWith(end)))
  if (!format) throw new GristmillError('GM_FORMAT', `${name} has no format that can be read`)
  const url = store.localFolder === undefined ? `${store.url}/${name}` : posix.join(store.localFolder, name)
  const file = { path: name, url, size: bytes, fingerprint: '' }
  const options = {
    text: '',
    id: 'id',
    columns: undefined,
    types: {},
    onMissing: 'empty',
    maxRecordBytes: MAX_RECORD_BYTES,
    format: {},
  } as const
  const context = lookContext(stores, CHUNK_BYTES)
  const all = await format.columns([file], options, context)
  const columns = all.filter(({ name: column, type }) => DESCRIBING.test(column) && type !== 'other')
  const ids = new Expression(isId(id))
  const found: FoundRow[] = []
  let before = 0
  for await (const read of format.read(wholeSplit(file), columns, options, undefined, context)) {
    using batch = read
    const { rows } = batch
    const positions = new BigUint64Array(
      batch.view('__position').buffers[0]!,
      batch.view('__position').offset * 8,
      rows,
    )
    const places = [...positions]
    for (const { at, row } of readRows(batch, columns, ids)) {
      // A record's position is its offset; its number is told by its place in the batch.
      found.push({ at: before + places.indexOf(BigInt(at)), row })
    }
    before += rows
  }
  return found
}
