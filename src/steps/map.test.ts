import { inspect } from 'node:util'
import { expect, test } from 'vitest'
import { TEXT, runStep } from '../../test/run-step.js'
import { type Columns, liveBatchBytes } from '../kernels/batch.js'
import type { Row } from '../kernels/rows.js'
import { map } from './map.js'

const COLUMNS: Columns = [
  ...TEXT,
  { name: 'n', type: 'int64' },
  { name: 'score', type: 'float64' },
  { name: 'good', type: 'boolean' },
  { name: 'meta', type: 'json' },
  { name: 'tokens', type: 'tokens' },
]

const ROW = {
  id: 'a',
  text: 'x é 漢 😀',
  n: 9007199254740993n,
  score: 0.5,
  good: true,
  meta: { a: [1, 'b'] },
  tokens: Uint32Array.of(1, 4294967295),
}
const NULLS = { id: 'b', text: 'y', n: null, score: null, good: null, meta: null, tokens: null }

type AnyRow = Row & Record<string, never>
const withFunction = (fn: (row: AnyRow) => unknown, more: object = {}) => ({
  rows: [ROW, NULLS],
  columns: COLUMNS,
  functions: [fn],
  ...more,
})

test('expressions set columns in order, each seeing those before it', async () => {
  const { rows, columns } = await runStep(
    map,
    { n: 'length(text)', twice: 'n * 2', text: 'upper(text)' },
    {
      rows: [{ id: 'a', text: 'ab', n: 7 }],
      columns: [...TEXT, { name: 'n', type: 'int64' }],
    },
  )
  expect(rows).toEqual([{ id: 'a', text: 'AB', n: 2, twice: 4 }])
  expect(columns.map(({ name, type }) => [name, type])).toEqual([
    ['text', 'string'],
    ['n', 'int64'],
    ['twice', 'int64'],
  ])
})

test.each([
  [{ x: 'lenght(text)' }, "steps[0].map.x: unknown function 'lenght'"],
  [{ x: 'null' }, 'the column would be null in every row'],
  [{ text: 'n' }, "'text' must be a text, this gives int64"],
  [{ __file: "'x'" }, "a column cannot be called '__file'"],
])('%o is refused: %s', async (config, message) => {
  await expect(runStep(map, config, { rows: [], columns: COLUMNS })).rejects.toThrow(message)
})

test('a function in a pipeline file is refused with the way out', () => {
  const parsed = map.config.safeParse({ fn: { js: 'row => row' } })
  expect(parsed.error?.issues[0]?.message).toContain('a function needs a pipeline module')
})

test('a row shows every type, and a row that comes back as it was keeps its columns', async () => {
  const seen: unknown[] = []
  const { rows, columns } = await runStep(
    map,
    { function: 0 },
    withFunction(
      (row) => {
        seen.push({ ...row }, row['file'], row['position'], row['nothing'], 'n' in row, 'nothing' in row)
        return row
      },
      { sampleRows: 2 },
    ),
  )
  expect(seen.slice(0, 6)).toEqual([ROW, 'rows.jsonl', 0, undefined, true, false])
  expect(seen.slice(6, 7)).toEqual([NULLS])
  expect(rows).toEqual([ROW, NULLS])
  expect(columns).toEqual(COLUMNS)
})

test('types of new columns come from the sample', async () => {
  const { rows, columns } = await runStep(
    map,
    { function: 0 },
    withFunction((row) => ({
      text: row['text'],
      n: 3,
      length: row['text'] === 'y' ? 1 : 8,
      big: 5n,
      list: [row['good']],
      ids: Uint32Array.of(7),
      yes: row['good'],
    })),
  )
  expect(Object.fromEntries(columns.map(({ name, type }) => [name, type]))).toEqual({
    text: 'string',
    n: 'int64',
    length: 'float64',
    big: 'int64',
    list: 'json',
    ids: 'tokens',
    yes: 'boolean',
  })
  expect(rows).toEqual([
    { id: 'a', text: ROW.text, n: 3, length: 8, big: 5, list: [true], ids: Uint32Array.of(7), yes: true },
    { id: 'b', text: 'y', n: 3, length: 1, big: 5, list: [null], ids: Uint32Array.of(7), yes: null },
  ])
})

test('stated columns are set, the others stay', async () => {
  const { rows, columns } = await runStep(
    map,
    { function: 0, columns: { score: 'string', extra: 'int64' } },
    withFunction((row) => ({ ...row, score: 'high', extra: row['n'] === null ? null : 2 }), { sampleRows: 0 }),
  )
  expect(columns.map(({ name, type }) => [name, type]).slice(2)).toEqual([
    ['score', 'string'],
    ['good', 'boolean'],
    ['meta', 'json'],
    ['tokens', 'tokens'],
    ['extra', 'int64'],
  ])
  expect(rows).toEqual([
    { ...ROW, score: 'high', extra: 2 },
    { ...NULLS, score: 'high', extra: null },
  ])
})

test('a row may be changed in place, deep inside JSON too', async () => {
  const { rows } = await runStep(
    map,
    { function: 0 },
    withFunction((row) => {
      const out = row as Record<string, unknown>
      out['text'] = `${row['text']}!`
      if (row['meta'] !== null) (row['meta'] as unknown as { a: unknown[] }).a.push(3)
      delete out['good']
      out['id'] = `new-${row.id}`
      return out
    }),
  )
  const { good: _, ...rest } = ROW
  expect(rows[0]).toEqual({ ...rest, id: 'new-a', text: `${ROW.text}!`, meta: { a: [1, 'b', 3] } })
  expect(rows[1]).toMatchObject({ id: 'new-b', text: 'y!' })
})

test('JSON that was only read keeps its bytes', async () => {
  const rows = [{ text: 'x', meta: { a: 1 } }]
  const columns: Columns = [...TEXT, { name: 'meta', type: 'json' }]
  const run = await runStep(map, { function: 0 }, { rows, columns, functions: [(row: Row) => ({ ...row })] })
  expect(run.rows).toMatchObject(rows)
})

test.each<[string, (row: AnyRow) => unknown, string]>([
  [
    'a number for a text',
    () => ({ text: 5 }),
    "row 'b': the function returned a value that does not fit: column 'text' is string, got the number 5",
  ],
  ['no text', () => ({ text: null }), "column 'text' is string, got null"],
  ['half for int64', () => ({ text: '', n: 0.5 }), "column 'n' is int64, got the number 0.5"],
  [
    'a column of its own',
    () => ({ text: '', other: 1 }),
    "row 'b': the function returned the column 'other', which no row had at planning",
  ],
  ['nothing', () => undefined, "row 'b': the function must return a row, got undefined"],
  ['an id that is no text', () => ({ text: '', id: 3 }), "row 'b': 'id' must be a text, got number"],
])('a later row with %s stops the run', async (_, later, message) => {
  const fn = (row: AnyRow) => (row.id === 'a' ? { text: 'x', n: 1 } : later(row))
  const run = runStep(map, { function: 0 }, withFunction(fn, { sampleRows: 1 }))
  await expect(run).rejects.toMatchObject({ code: 'GM_USER_FUNCTION', message: expect.stringContaining(message) })
})

test.each<[string, () => unknown, string]>([
  ['only null', () => ({ text: '', x: null }), "the column 'x' that the function returns is null in every row tried"],
  ['__x', () => ({ text: '', __x: 1 }), "returned a column called '__x'"],
])('at planning, %s is refused', async (_, fn, message) => {
  await expect(runStep(map, { function: 0 }, withFunction(fn))).rejects.toThrow(message)
})

test('without rows to try and without stated columns the function is refused', async () => {
  const run = runStep(map, { function: 0 }, { rows: [], columns: TEXT, functions: [(row: Row) => row] })
  await expect(run).rejects.toMatchObject({ code: 'GM_CONFIG', hint: expect.stringContaining('columns:') })
})

test('a row that is read after its function returned says so, a copy stays', async () => {
  const rows: Row[] = []
  const copies: object[] = []
  await runStep(
    map,
    { function: 0 },
    withFunction((row) => {
      rows.push(row)
      copies.push({ ...row })
      return row
    }),
  )
  expect(() => rows[0]!['tokens']).not.toThrow() // it was read in time
  expect(copies[0]).toEqual(ROW)
  const untouched: Row[] = []
  await runStep(
    map,
    { function: 0 },
    withFunction((row) => (untouched.push(row), row)),
  )
  expect(() => untouched.at(-1)!['text']).toThrow("column 'text' of a row was read after the function had returned")
})

test('a row prints as its columns', async () => {
  let printed = ''
  await runStep(
    map,
    { function: 0 },
    withFunction((row) => {
      printed = inspect(row)
      return row
    }),
  )
  expect(printed).toContain("text: 'y'")
})

test('no batch is left behind', () => expect(liveBatchBytes()).toBe(0))
