/** The Parquet and Arrow sources on files that pyarrow wrote, whole and damaged. */
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tableFromIPC } from 'apache-arrow'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { testFolder } from '../../test/folder.js'
import { askOracle, oracle } from '../../test/oracle.js'
import { defaults, planning } from '../../test/read-source.js'
import { parseCondition } from '../expressions/index.js'
import { openStores } from '../io/stores.js'
import type { ByteStores } from '../io/store.js'
import { type Batch, liveBatchBytes } from '../kernels/batch.js'
import { cutGroups } from './large-files.js'
import { formatOfPath } from './index.js'
import type { InputFile, Piece, Reject, SourceFormat, SourceOptions } from './source.js'

type Row = Record<string, unknown>

interface Outcome {
  readonly rows: Row[]
  readonly rejects: Reject[]
  readonly truncated: string[]
  readonly unknown: Record<string, number>
  pruned: number
  largestBatch: number
}

const folder = testFolder('columnar')
let written: { readonly rows: Row[]; readonly files: string[] }
beforeAll(() => {
  written = oracle<typeof written>('write_columnar.py', [folder])
})
afterAll(() => {
  expect(liveBatchBytes()).toBe(0)
})

function input(path: string): InputFile {
  const url = join(folder, path)
  return { path, url, size: statSync(url).size, fingerprint: '' }
}

function formatOf(file: InputFile): SourceFormat {
  return formatOfPath(file.path) as SourceFormat
}

interface ReadOptions extends Partial<SourceOptions> {
  /** Where files are read: as local files, or by ranges as from an object store. */
  readonly from?: 'local' | 'ranges'
  readonly where?: string
  readonly pieces?: readonly Piece[]
}

/** Samples and reads files of one format. */
async function read(files: readonly InputFile[], readOptions: ReadOptions = {}): Promise<Outcome> {
  const { from = 'local', where, pieces, ...overrides } = readOptions
  const options = { ...defaults, text: 'body', ...overrides }
  const format = formatOf(files[0]!)
  using stores = from === 'local' ? closing(openStores()) : closing(planning.stores)
  const context = { ...planning, stores: stores.stores }
  const columns = await format.columns(files, options, context)
  const outcome: Outcome = { rows: [], rejects: [], truncated: [], unknown: {}, pruned: 0, largestBatch: 0 }
  const reading = {
    ...context,
    chunkBytes: () => 1000,
    reject: (rejects: readonly Reject[]) => void outcome.rejects.push(...rejects),
    pruned: (rows: number) => void (outcome.pruned += rows),
    unknownColumn: (name: string, rows: number) => void (outcome.unknown[name] = (outcome.unknown[name] ?? 0) + rows),
    truncated: (file: InputFile, reason: string) => void outcome.truncated.push(`${file.path}: ${reason}`),
    consumed: () => undefined,
  }
  const predicate = where === undefined ? undefined : parseCondition(where, columns, 'where').ast
  const whole = files.map((file) => ({ file, range: { kind: 'whole' } }) as const)
  const split = { kind: 'split', pieces: pieces ?? whole, bytes: 0 } as const
  for await (const batch of format.read(split, columns, options, predicate, reading)) {
    outcome.largestBatch = Math.max(outcome.largestBatch, batch.bytes)
    outcome.rows.push(...rowsOf(batch))
    batch.dispose()
  }
  return outcome
}

function closing(stores: ByteStores): Disposable & { stores: ByteStores } {
  return { stores, [Symbol.dispose]: () => stores.close?.() }
}

/** Rows as plain values; integers beyond 2^53 as text. */
function rowsOf(batch: Batch): Row[] {
  const table = tableFromIPC(batch.toIpc())
  const text = JSON.stringify(table.toArray(), (_, value: unknown) =>
    typeof value === 'bigint' ? (Number.isSafeInteger(Number(value)) ? Number(value) : String(value)) : value,
  )
  return (JSON.parse(text) as Row[]).map(({ __file: file, __position: position, ...row }) => ({
    file,
    position,
    ...row,
  }))
}

/** The rows that every file holds, as `file` gives them. */
function expectedRows(path: string): Row[] {
  return written.rows.map((row, position) => ({ file: path, position, ...row }))
}

const KEPT = ['small', 'big', 'score', 'flag', 'lang', 'tags', 'nested']

describe.each(['local', 'ranges'] as const)('read %s', (from) => {
  test('every form that pyarrow writes gives the same rows', async () => {
    expect(written.files.length).toBeGreaterThan(35)
    for (const path of written.files) {
      // pyarrow's plain binary is no text until somebody says so.
      const types = path.includes('binary') ? ({ lang: 'string' } as const) : {}
      const outcome = await read([input(path)], { from, columns: KEPT, types })
      expect(outcome.rejects, path).toEqual([])
      expect(outcome.truncated, path).toEqual([])
      expect(outcome.rows, path).toEqual(expectedRows(path))
    }
  })

  test('ranges of row groups and record batches give the rows of the whole', async () => {
    for (const path of ['codec-zstd.parquet', 'one-row-groups.parquet', 'ipc-lz4.arrow']) {
      const file = input(path)
      const groupRows = path.startsWith('codec') ? 97 : path.startsWith('one') ? 1 : 120
      const count = Math.ceil(500 / groupRows)
      const cut = Math.floor(count / 2)
      const pieces = [
        { file, range: { kind: 'rowGroups', from: 0, to: cut, firstRow: 0 } },
        { file, range: { kind: 'rowGroups', from: cut, to: count, firstRow: cut * groupRows } },
      ] as const
      const outcome = await read([file], { from, columns: KEPT, pieces })
      expect(outcome.rows, path).toEqual(expectedRows(path))
    }
  })
})

test('row groups are put together to splits of about 64 MiB', () => {
  const file = input('codec-none.parquet')
  const groups = [30, 30, 30, 200, 1].map((mib, index) => ({ rows: index + 1, bytes: mib << 20 }))
  const splits = cutGroups(file, groups)
  expect(splits.map(({ pieces, bytes }) => [pieces[0]?.range, bytes >> 20])).toEqual([
    [{ kind: 'rowGroups', from: 0, to: 2, firstRow: 0 }, 60],
    [{ kind: 'rowGroups', from: 2, to: 3, firstRow: 3 }, 30],
    [{ kind: 'rowGroups', from: 3, to: 4, firstRow: 6 }, 200],
    [{ kind: 'rowGroups', from: 4, to: 5, firstRow: 10 }, 1],
  ])
})

test('all columns are kept when none are named, in the order of the file', async () => {
  const { rows } = await read([input('codec-none.parquet')])
  const names = ['file', 'position', 'id', 'text', 'small', 'big', 'score', 'flag', 'lang', 'tags', 'nested', 'when']
  expect(Object.keys(rows[1]!)).toEqual(names)
})

test('`where` leaves row groups out that cannot match', async () => {
  const file = input('codec-zstd.parquet')
  const check = async (where: string, keep: (row: Row) => boolean, pruned: number): Promise<void> => {
    const outcome = await read([file], { columns: KEPT, where })
    expect(outcome.pruned, where).toBe(pruned)
    expect(outcome.rows.length + outcome.pruned).toBe(500)
    const kept = new Set(outcome.rows.map((row) => row['position']))
    for (const row of expectedRows(file.path).filter(keep)) expect(kept).toContain(row['position'])
  }
  // Five groups of 97 rows and one of 15; `small` rises with the position.
  await check('small < -200', (row) => row['small'] !== null && (row['small'] as number) < -200, 403)
  await check("lang = 'aa' or small >= 240", (row) => (row['small'] as number) >= 240, 485)
  await check("lang in ('aa', 'zz')", () => false, 500)
  await check('position >= 485', (row) => (row['position'] as number) >= 485, 485)
  await check("text like 'row%' and not flag is null", (row) => row['flag'] !== null, 0)
})

interface Described {
  readonly path: string
  readonly columns: Record<string, { readonly type: string; readonly values: readonly unknown[] }>
  readonly options?: Record<string, unknown>
}

/** Files written by pyarrow. */
function write(...tables: Described[]): InputFile[] {
  const requests = tables.map((table) => ({ ...table, path: join(folder, table.path) }))
  expect(askOracle('write_table.py', requests)).toBe(tables.length)
  return tables.map(({ path }) => input(path))
}

function strings(...values: (string | null)[]): { type: string; values: (string | null)[] } {
  return { type: 'string', values }
}

/** Codes and row numbers. */
function codes({ rejects }: Outcome): string[] {
  return rejects.map(({ code, offset }) => `${code}@${offset}`)
}

describe('the document column', () => {
  test('null goes to quarantine, is left out or becomes empty', async () => {
    for (const path of ['nulls.parquet', 'nulls.arrow', 'nulls.arrows']) {
      const files = write({ path, columns: { body: strings('a', null, 'b') } })
      const quarantined = await read(files)
      expect(quarantined.rows.map(({ position, text }) => [position, text])).toEqual([
        [0, 'a'],
        [2, 'b'],
      ])
      expect(codes(quarantined)).toEqual(['text-null@1'])
      expect(quarantined.rejects[0]).toMatchObject({ file: path, reason: 'the document is null, not a string' })
      const skipped = await read(files, { onMissing: 'skip' })
      expect([skipped.rows.length, skipped.pruned, skipped.rejects.length]).toEqual([2, 1, 0])
      const emptied = await read(files, { onMissing: 'empty' })
      expect(emptied.rows.map(({ text }) => text)).toEqual(['a', '', 'b'])
    }
  })

  test('a table that has none gives empty ones where that is asked for', async () => {
    for (const path of ['table.parquet', 'table.arrow', 'table.arrows']) {
      const files = write({ path, columns: { n: { type: 'int64', values: [1, null] }, s: strings('a', 'b') } })
      await expect(read(files)).rejects.toMatchObject({ code: 'GM_COLUMN_MISSING' })
      const { rows, rejects } = await read(files, { onMissing: 'empty' })
      expect(rejects).toEqual([])
      expect(rows.map(({ position, text, n, s }) => [position, text, n, s])).toEqual([
        [0, '', 1, 'a'],
        [1, '', null, 'b'],
      ])
    }
  })

  test('numbers in it go to quarantine', async () => {
    const [file] = write({ path: 'numbers.parquet', columns: { body: { type: 'int64', values: [1, null] } } })
    const outcome = await read([file!])
    expect(codes(outcome)).toEqual(['text-type@0', 'text-null@1'])
    expect(outcome.rejects[0]?.reason).toBe('the document is int64, not a string')
  })

  test('bytes that are not UTF-8 cost their row only', async () => {
    const values = ['ok', '\xff', 'fine'].map((text) => Buffer.from(text, 'latin1').toString('base64'))
    for (const path of ['bytes.parquet', 'bytes.arrow']) {
      const [file] = write({ path, columns: { body: { type: 'base64', values } } })
      const outcome = await read([file!])
      expect(outcome.rows.map(({ text }) => text)).toEqual(['ok', 'fine'])
      expect(codes(outcome)).toEqual(['utf8@1'])
      expect([...outcome.rejects[0]!.bytes]).toEqual([0xff])
    }
  })

  test('a longer one than maxRecordBytes goes to quarantine by reference', async () => {
    const [file] = write({ path: 'long.parquet', columns: { body: strings('12345', '123456') } })
    const outcome = await read([file!], { maxRecordBytes: 5 })
    expect(codes(outcome)).toEqual(['record-too-long@1'])
    expect(outcome.rejects[0]?.bytes.length).toBe(0)
  })
})

test('integers are ids too; other types are refused', async () => {
  const body = strings('a', 'b')
  const [ints] = write({ path: 'int-id.parquet', columns: { body, id: { type: 'int64', values: [7, null] } } })
  expect((await read([ints!])).rows.map(({ id }) => id)).toEqual(['7', null])
  const [floats] = write({ path: 'float-id.parquet', columns: { body, id: { type: 'double', values: [7, 8] } } })
  await expect(read([floats!])).rejects.toMatchObject({
    code: 'GM_COLUMN_TYPE',
    message: "float-id.parquet: the id column 'id' is float64 (Float64); an id is a string or an integer",
  })
})

describe('files of one source', () => {
  const body = strings('a')
  const column = (type: string, value: unknown) => ({ type, values: [value] })

  test('types that disagree are an error that names both files and the column', async () => {
    const files = write(
      { path: 'agree-1.parquet', columns: { body, n: column('int64', 1) } },
      { path: 'agree-2.parquet', columns: { body, n: strings('x') } },
    )
    await expect(read(files)).rejects.toMatchObject({
      code: 'GM_SCHEMA',
      message: "column 'n' is string (Utf8) in agree-2.parquet, but int64 (Int64) in agree-1.parquet",
    })
    // A column that is not kept may be anything.
    expect((await read(files, { columns: [] })).rows.length).toBe(2)
  })

  test('types are widened where nothing is lost', async () => {
    const files = write(
      { path: 'wide-1.parquet', columns: { body, n: column('int32', 1), s: column('null', null) } },
      { path: 'wide-2.parquet', columns: { body, n: column('float', 0.5), s: column('large_string', 'x') } },
      { path: 'wide-3.parquet', columns: { body, n: column('null', null), s: column('null', null) } },
    )
    const { rows } = await read(files)
    expect(rows.map(({ n, s }) => [n, s])).toEqual([
      [1, null],
      [0.5, 'x'],
      [null, null],
    ])
    const large = write({ path: 'wide-4.parquet', columns: { body, n: column('int64', 1), s: strings('') } })
    await expect(read([...large, files[1]!])).rejects.toMatchObject({ code: 'GM_SCHEMA' })
  })

  test('a missing column is an error that names the file', async () => {
    const files = write(
      { path: 'has.parquet', columns: { body, lang: strings('en') } },
      { path: 'lacks.parquet', columns: { body, language: strings('en') } },
    )
    await expect(read(files, { columns: ['lang'] })).rejects.toMatchObject({
      code: 'GM_COLUMN_MISSING',
      message: expect.stringMatching(/^lacks\.parquet has no column 'lang', .*its columns are body, language/),
    })
    await expect(read(files, { text: 'bodi' })).rejects.toThrow(
      "has.parquet has no column 'bodi', the document column (source.text); its columns are body, lang; did you mean 'body'?",
    )
  })

  test('a file that is read later is held against the columns of the run', async () => {
    const [first, second] = write(
      { path: 'later-1.parquet', columns: { body, n: column('int64', 1) } },
      { path: 'later-2.parquet', columns: { body, n: strings('x'), extra: strings('y') } },
    )
    const piece = { file: second!, range: { kind: 'whole' } } as const
    await expect(read([first!], { pieces: [piece] })).rejects.toMatchObject({
      code: 'GM_SCHEMA',
      message: "column 'n' is string (Utf8) in later-2.parquet, but int64 in the files that were looked at first",
    })
    const [third] = write({ path: 'later-3.parquet', columns: { body, n: column('int8', 1), extra: strings('y') } })
    const outcome = await read([first!], { pieces: [{ file: third!, range: { kind: 'whole' } }] })
    expect(outcome.unknown).toEqual({ extra: 1 })
  })

  test('a column that would be called text or id is refused with what to do', async () => {
    const files = write({ path: 'clash.parquet', columns: { body, text: strings('x') } })
    await expect(read(files)).rejects.toMatchObject({ code: 'GM_CONFIG' })
    expect((await read(files, { columns: [] })).rows[0]).toMatchObject({ text: 'a' })
  })
})

describe('damage', () => {
  /** Copies a file under another name, changed. */
  function damaged(path: string, name: string, change: (bytes: Buffer) => Buffer): InputFile {
    writeFileSync(join(folder, name), change(readFileSync(join(folder, path))))
    return input(name)
  }

  test('a file cut short, empty, or of another format is put on record, and the others are read', async () => {
    const good = input('codec-snappy.parquet')
    const short = damaged(good.path, 'short.parquet', (bytes) => bytes.subarray(0, bytes.length - 100))
    const empty = damaged(good.path, 'empty.parquet', () => Buffer.alloc(0))
    const other = damaged(good.path, 'other.parquet', () => Buffer.from('a,b\n1,2\n'))
    const footer = damaged(good.path, 'footer.parquet', (bytes) => {
      bytes.fill(0xff, bytes.length - 200, bytes.length - 8)
      return bytes
    })
    const outcome = await read([short, empty, other, footer, good], { columns: KEPT })
    expect(outcome.rows).toEqual(expectedRows(good.path))
    expect(outcome.rejects.map(({ file, code, offset, length }) => [file, code, offset, length])).toEqual(
      [short, empty, other, footer].map((file) => [file.path, 'parquet-footer', 0, file.size]),
    )
    expect(outcome.truncated[0]).toBe(
      'short.parquet: not valid parquet: the file does not end with the magic number PAR1',
    )
    expect(outcome.truncated.length).toBe(4)
  })

  test('a damaged page costs the rows of its row group that follow', async () => {
    for (const from of ['local', 'ranges'] as const) {
      const file = damaged('codec-zstd.parquet', 'page.parquet', (bytes) => {
        bytes.fill(0x55, 10_000, 10_050) // in the third of six row groups
        return bytes
      })
      const outcome = await read([file], { from, columns: KEPT })
      expect(outcome.rejects.map(({ code }) => code)).toEqual(['parquet-page'])
      const [{ offset, reason }] = outcome.rejects as [Reject]
      const group = Number(/^row group (\d): rows \d+ to \d+ cannot be read: /.exec(reason)?.[1])
      expect(offset).toBe(group * 97)
      const lost = (row: Row): boolean => Math.floor((row['position'] as number) / 97) === group
      expect(outcome.rows).toEqual(expectedRows(file.path).filter((row) => !lost(row)))
      expect(outcome.truncated).toEqual([])
    }
  })

  test('a file whose footer is unreadable at planning time stays whole', async () => {
    const large = { ...damaged('codec-none.parquet', 'plan.parquet', () => Buffer.alloc(1000)), size: 100 << 20 }
    const splits = await formatOf(large).plan([large], defaults, { ...planning, stores: openStores() })
    expect(splits.flatMap((split) => (split.kind === 'split' ? split.pieces.map(({ range }) => range) : []))).toEqual([
      { kind: 'whole' },
    ])
  })

  test('Arrow: a file cut short, a stream cut short, a damaged record batch', async () => {
    const half = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.length >> 1)
    const file = await read([damaged('ipc-None.arrow', 'half.arrow', half), input('ipc-zstd.arrow')], { columns: KEPT })
    expect(codes(file)).toEqual(['arrow-footer@0'])
    expect(file.rows).toEqual(expectedRows('ipc-zstd.arrow'))

    const stream = await read([damaged('ipc-None.arrows', 'half.arrows', half)], { columns: KEPT })
    expect(stream.rows.length).toBeGreaterThan(0)
    expect(stream.rows).toEqual(expectedRows('half.arrows').slice(0, stream.rows.length))
    expect(codes(stream)).toEqual([`arrow-batch@${stream.rows.length}`])
    expect(stream.truncated.length).toBe(1)

    const batch = damaged('ipc-zstd.arrow', 'batch.arrow', (bytes) => {
      bytes.fill(0x55, 9000, 9100)
      return bytes
    })
    const outcome = await read([batch], { columns: KEPT })
    const [{ offset }] = outcome.rejects as [Reject]
    expect(offset % 120).toBe(0)
    const lost = (row: Row): boolean => Math.floor((row['position'] as number) / 120) === offset / 120
    expect(outcome.rows).toEqual(expectedRows('batch.arrow').filter((row) => !lost(row)))
  })

  test('Arrow: what is neither file nor stream is put on record', async () => {
    const file = damaged('plain.feather', 'text.arrow', () => Buffer.from('{"text":"x"}\n'.repeat(10)))
    const outcome = await read([file, input('plain.feather')], { columns: KEPT })
    expect(codes(outcome)).toEqual(['arrow-footer@0'])
    expect(outcome.rows).toEqual(expectedRows('plain.feather'))
  })
})

test('batches stay small whatever the row groups and record batches are', async () => {
  const values = Array.from({ length: 2500 }, (_, i) => `${i} ${'x'.repeat(4000)}`)
  for (const path of ['big.parquet', 'big.arrow', 'big.arrows']) {
    const { rows, largestBatch } = await read(write({ path, columns: { body: strings(...values) } }))
    expect(rows.map(({ text }) => text)).toEqual(values)
    expect(largestBatch).toBeLessThan(6 << 20)
  }
})

test('standard input is refused', async () => {
  const stdin = { path: '-', url: '-', size: 0, fingerprint: '' }
  const plan = formatOf(input('codec-none.parquet')).plan([stdin], defaults, planning)
  await expect(plan).rejects.toMatchObject({ code: 'GM_CONFIG' })
})
