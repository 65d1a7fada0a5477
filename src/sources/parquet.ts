/**
 * The `parquet` source: only the columns that are kept are decoded, row groups are the splits of large
 * files, and row groups that `where` rules out by their statistics are not read.
 *
 * The position of a row is its number in the file. A file without a readable footer goes to quarantine
 * as a whole, a damaged page with the rows of its row group that follow it.
 */
import { join } from 'node:path'
import { z } from 'zod'
import type { Batch, Columns } from '../kernels/batch.js'
import { PARQUET_TAIL_BYTES, ParquetFile, parquetFooterLength } from '../kernels/columnar.js'
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
import type { InputFile, Piece, PlanContext, Range, ReadContext, SourceFormat, SourceOptions, Split } from './source.js'

/** Estimate of decoded over stored bytes. */
const EXPANSION = 3
/** Footers that are read at a time. */
const CONCURRENT_FOOTERS = 16
/** The next row group is fetched ahead when it is no larger than this. */
const AHEAD_BYTES = 16 << 20

export const parquet: SourceFormat = {
  name: 'parquet',
  extensions: ['.parquet'],
  options: z.strictObject({}),

  async plan(files, options, context) {
    refuseStandardInput(files, 'Parquet')
    return cutLarge(files, {
      concurrent: CONCURRENT_FOOTERS,
      bytesOf: (file) => file.size * EXPANSION,
      cut: (file) => cutFile(file, options, context),
    })
  },

  columns(files, options, context) {
    refuseStandardInput(files, 'Parquet')
    return columnsOfFiles(files, options, async (file) => {
      using opened = await unlessDamaged(
        async () => openFile(await locate(file, context)),
        () => undefined,
      )
      return opened?.columns()
    })
  },

  async *read(split, columns, options, predicate, context) {
    for (const piece of split.pieces) yield* readPiece(piece, columns, options, predicate, context)
  },
}

async function openFile(stored: StoredFile): Promise<ParquetFile> {
  return new ParquetFile(await readFooter(stored, PARQUET_TAIL_BYTES, parquetFooterLength))
}

async function cutFile(file: InputFile, options: SourceOptions, context: PlanContext): Promise<Split[] | undefined> {
  context.signal.throwIfAborted()
  using opened = await unlessDamaged(
    async () => openFile(await locate(file, context)),
    () => undefined,
  )
  if (opened === undefined) return undefined
  const names = options.columns && [options.text, options.id, ...options.columns]
  return cutGroups(file, opened.rowGroups(names))
}

async function* readPiece(
  { file, range }: Piece,
  columns: Columns,
  options: SourceOptions,
  predicate: unknown,
  context: ReadContext,
): AsyncGenerator<Batch> {
  const stored = await locate(file, context)
  using opened = await unlessDamaged(
    () => openFile(stored),
    (reason) => rejectFile(file, 'parquet-footer', reason, context),
  )
  if (opened === undefined) return
  const found = opened.columns()
  const { localFolder } = stored.store
  const localPath = localFolder === undefined ? undefined : join(localFolder, stored.key)
  opened.open(selectColumns(file, found, columns, options), localPath)
  const unknown = unknownColumns(found, columns, options)
  const groups = chooseGroups(opened, range, predicate, context)
  const fetched = localPath === undefined ? fetchAhead(opened, groups, stored) : undefined
  for (const [index, group] of groups.entries()) {
    context.signal.throwIfAborted()
    opened.start(group.number, group.firstRow, (await fetched?.(index)) ?? [])
    for (let read = opened.next(); read !== undefined; read = opened.next()) {
      yield* handOut(read, unknown, context)
      context.signal.throwIfAborted()
    }
  }
}

interface GroupPlace {
  readonly number: number
  readonly firstRow: number
}

/** The row groups of a range that may hold wanted rows; the others are counted as pruned. */
function chooseGroups(file: ParquetFile, range: Range, predicate: unknown, context: ReadContext): GroupPlace[] {
  const groups = file.rowGroups()
  const [from, to] = range.kind === 'rowGroups' ? [range.from, range.to] : [0, groups.length]
  const chosen: GroupPlace[] = []
  let firstRow = 0
  for (const [number, { rows }] of groups.entries()) {
    if (number >= from && number < to) {
      const wanted = predicate === undefined || predicate === null || file.mayMatch(number, firstRow, predicate)
      if (wanted) chosen.push({ number, firstRow })
      else context.pruned(rows)
    }
    firstRow += rows
  }
  return chosen
}

type Fetched = { readonly from: number; readonly bytes: Uint8Array }[]

/** Fetches the column chunks of row groups; the next group's while this one is decoded, when it is small. */
function fetchAhead(
  file: ParquetFile,
  groups: readonly GroupPlace[],
  { store, key }: StoredFile,
): (index: number) => Promise<Fetched> {
  const fetch = async (index: number): Promise<Fetched> => {
    const ranges = file.ranges((groups[index] as GroupPlace).number).filter(({ from, to }) => to > from)
    const chunks = await Promise.all(ranges.map(({ from, to }) => store.read(key, from, to)))
    return ranges.map(({ from }, at) => ({ from, bytes: chunks[at] as Uint8Array }))
  }
  const size = (index: number): number =>
    file.ranges((groups[index] as GroupPlace).number).reduce((sum, { from, to }) => sum + to - from, 0)
  let ahead: { readonly index: number; readonly bytes: Promise<Fetched> } | undefined
  return async (index) => {
    const fetched = await (ahead?.index === index ? ahead.bytes : fetch(index))
    ahead = undefined
    if (index + 1 < groups.length && size(index + 1) <= AHEAD_BYTES) {
      const bytes = fetch(index + 1)
      // A failure is thrown where the group is taken; until then it is not unhandled.
      bytes.catch(() => undefined)
      ahead = { index: index + 1, bytes }
    }
    return fetched
  }
}
