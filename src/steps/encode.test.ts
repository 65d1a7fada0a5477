import { expect, test } from 'vitest'
import { runStep } from '../../test/run-step.js'
import type { Batch, Columns } from '../kernels/batch.js'
import { batchFromRows } from '../kernels/columns.js'
import { addon } from '../kernels/native.js'
import { encode } from './encode.js'

const columns: Columns = [
  { name: 's', type: 'string' },
  { name: 'n', type: 'int64' },
  { name: 'b', type: 'boolean' },
]
const rows = [
  { id: 'a', s: 'high', n: 2, b: true },
  { id: 'b', s: null, n: null, b: null },
  { id: 'c', s: 'low', n: 7, b: false },
]
const ordinals = async (config: object) =>
  (await runStep(encode, config, { rows, columns })).rows.map(({ s, n, b }) => [s, n, b])

/** The lists of a one-hot column, which JavaScript sees as apache-arrow does. */
async function oneHot(config: object, name: string): Promise<unknown[]> {
  const parsed = encode.config.parse(config)
  const { payload } = await encode.prepare(parsed, { columns, baseFolder: '/', place: 'steps[0].encode' })
  using batch: Batch = batchFromRows(rows, columns)
  const removed = new addon.NativeRemovedLog()
  const context = { removed, edits: new addon.NativeEdits(), routed: new addon.NativeRoutedRows(), step: 'encode' }
  using runner = encode.open(payload, { ...context, userFunction: () => () => undefined })
  await runner.run(batch)
  const lists = (await batch.toArrow()).getChild(name) as Iterable<Iterable<number> | null>
  return [...lists].map((list) => list && [...list])
}

test('an ordinal is the place among the given categories, and null stays null', async () => {
  const given = { s: { ordinal: ['low', 'high'] }, n: { ordinal: [7, 2] }, b: { ordinal: [true, false] } }
  expect(await ordinals({ columns: given })).toEqual([
    [1, 1, 0],
    [null, null, null],
    [0, 0, 1],
  ])
})

test('a category that is not known stops the run with its row, or gets the stated value', async () => {
  const unknown = { columns: { s: { ordinal: ['low'] } } }
  await expect(ordinals(unknown)).rejects.toMatchObject({
    code: 'GM_CATEGORY',
    message: `column 's' of the row a holds "high", which is none of its categories`,
  })
  const ignored = async (config: object) =>
    (await ordinals({ ...unknown, unknown: 'ignore', ...config })).map(([s]) => s)
  expect(await ignored({})).toEqual([null, null, 0])
  expect(await ignored({ unknownValue: -1 })).toEqual([-1, null, 0])
})

test('a one-hot list has a place for each category, for null if it is one, and none for what is dropped', async () => {
  const s = { 'one-hot': ['high', 'low', null] }
  expect(await oneHot({ columns: { s } }, 's')).toEqual([
    [1, 0, 0],
    [0, 0, 1],
    [0, 1, 0],
  ])
  expect(await oneHot({ columns: { s }, drop: 'first' }, 's')).toEqual([
    [0, 0],
    [0, 1],
    [1, 0],
  ])
  const b = { 'one-hot': [false, true] }
  const ignore = { unknown: 'ignore', drop: 'if_binary' }
  expect(await oneHot({ columns: { b }, ...ignore }, 'b')).toEqual([[1], [0], [0]])
  expect(await oneHot({ columns: { s }, ...ignore }, 's')).toHaveLength(3)
  await expect(oneHot({ columns: { b } }, 'b')).rejects.toThrow("column 'b' of the row b holds no value")
})

test.each([
  [{ s: { ordinal: [1, 2] } }, '1 is no value of a column of string'],
  [{ n: { ordinal: ['2'] } }, '"2" is no value of a column of int64'],
  [{ n: { 'one-hot': [0.5] } }, '0.5 is no value of a column of int64'],
  [{ b: { ordinal: ['yes'] } }, '"yes" is no value of a column of boolean'],
])('%o is refused', async (given, message) => {
  await expect(ordinals({ columns: given })).rejects.toThrow(message)
})

test.each([
  { columns: { s: { ordinal: ['a', 'a'] } } },
  { columns: { s: { ordinal: [] } } },
  { columns: { s: { ordinal: [null] } } },
  { columns: { s: 'ordinal' }, unknownValue: -1 },
  { from: 'run', drop: 'first' },
])('%o is no configuration', (config) => expect(encode.config.safeParse(config).success).toBe(false))
