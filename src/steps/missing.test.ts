import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { testFolder } from '../../test/folder.js'
import { runStep } from '../../test/run-step.js'
import type { Columns } from '../kernels/batch.js'
import { missing } from './missing.js'

const columns: Columns = [
  { name: 'x', type: 'float64' },
  { name: 'n', type: 'int64' },
  { name: 's', type: 'string' },
  { name: 'b', type: 'boolean' },
  { name: 'meta', type: 'json' },
]
const rows = [
  { id: 'a', x: 1.5, n: 1, s: 'corn', b: true, meta: {} },
  { id: 'b', x: null, n: null, s: null, b: null, meta: null },
  { id: 'c', x: Number.NaN, n: 3, s: '', b: false, meta: {} },
]
const run = async (policies: object) => runStep(missing, { columns: policies }, { rows, columns, batchRows: 2 })

test('a constant goes where a value is null or not a number, and an empty text is a value', async () => {
  const constants = { x: { constant: -1 }, n: { constant: 7 }, s: { constant: 'none' }, b: { constant: true } }
  const { rows: filled, columns: after } = await run(constants)
  expect(filled).toMatchObject([
    { x: 1.5, n: 1, s: 'corn', b: true },
    { x: -1, n: 7, s: 'none', b: true },
    { x: -1, n: 3, s: '', b: false },
  ])
  expect(after).toEqual(columns)
})

test('a row without a value is removed, with the column as the rule', async () => {
  const { rows: kept, removed } = await run({ x: 'drop', meta: 'drop' })
  expect(kept.map(({ id }) => id)).toEqual(['a'])
  expect(removed()).toMatchObject([
    { id: 'b', step: 'missing', rule: 'x', value: null, threshold: null },
    { id: 'c', step: 'missing', rule: 'x', value: null, threshold: null },
  ])
})

test('a required id', async () => {
  const unnamed = [
    { id: 'a', ...rows[0] },
    { ...rows[1], id: null },
  ]
  const { rows: kept } = await runStep(missing, { columns: { id: 'drop' } }, { rows: unnamed, columns })
  expect(kept).toHaveLength(1)
})

test('tried out on a few rows, a step that must see all of them makes columns of the right types', async () => {
  const { columns: after, rows: tried } = await run({ n: 'mean', x: 'median', s: 'most_frequent' })
  expect(after.map(({ type }) => type)).toEqual(['float64', 'float64', 'string', 'boolean', 'json'])
  expect(tried[1]).toMatchObject({ x: 0, n: 0, s: '' })
})

test.each([
  [{ s: 'mean' }, "a mean needs int64 or float64, but 's' is string"],
  [{ n: { constant: 0.5 } }, '0.5 is no value of a column of int64'],
  [{ x: { constant: 'zero' } }, '"zero" is no value of a column of float64'],
  [{ meta: 'most_frequent' }, "a value to fill in needs string or int64 or float64 or boolean, but 'meta' is json"],
  [{ y: 'drop' }, "there is no column 'y'"],
  [{ id: { constant: 'x' } }, "'id' cannot be changed"],
])('%o is refused', async (policies, message) => {
  await expect(run(policies)).rejects.toThrow(message)
})

test.each([{}, { columns: {} }, { columns: { x: 'mean' }, from: 'run' }, { columns: { x: 'mode' } }])(
  '%o is no configuration',
  (config) => expect(missing.config.safeParse(config).success).toBe(false),
)

test('parameters of an earlier run are read to the last digit and must fit', async () => {
  const folder = testFolder('missing')
  const file = join(folder, 'missing.json')
  const write = (column: object, step = 'missing'): void =>
    writeFileSync(file, JSON.stringify({ schemaVersion: 1, step, columns: [column] }))
  const from = async () => runStep(missing, { from: file }, { rows, columns })
  const value = 0.1 + 0.2
  // The column was read as floats then, and as whole numbers now.
  write({ name: 'n', type: 'float64', method: 'fill', value, becomes: 'float64' })
  expect((await from()).rows.map(({ n }) => n)).toEqual([1, value, 3])
  write({ name: 's', type: 'int64', method: 'fill', value: 1, becomes: 'int64' })
  await expect(from()).rejects.toThrow("the parameters of 's' are for int64, but the column is string")
  write({ name: 'y', type: 'int64', method: 'fill', value: 1, becomes: 'int64' })
  await expect(from()).rejects.toThrow("there is no column 'y'")
  write({ name: 'n', type: 'int64', method: 'standard', mean: 1, scale: 1 }, 'scale')
  await expect(from()).rejects.toThrow("holds the parameters of a step 'scale'")
  writeFileSync(file, '{')
  await expect(from()).rejects.toThrow('holds no parameters')
  await expect(runStep(missing, { from: folder }, { rows, columns })).rejects.toThrow("fitted no step 'missing'")
  await expect(runStep(missing, { from: 'nowhere' }, { rows, columns })).rejects.toThrow('nowhere is not there')
})
