import { expect, test } from 'vitest'
import { runStep } from '../../test/run-step.js'
import type { Columns } from '../kernels/batch.js'
import { scale } from './scale.js'

const columns: Columns = [
  { name: 'x', type: 'float64' },
  { name: 'n', type: 'int64' },
  { name: 's', type: 'string' },
]
const rows = [
  { x: 1, n: 0, s: '1' },
  { x: null, n: 10, s: '2' },
  { x: Infinity, n: -5, s: '3' },
]
const scaled = async (config: object) => (await runStep(scale, config, { rows, columns })).rows

test('given parameters are used as they are, and missing values stay missing', async () => {
  const given = { columns: { x: { mean: 3, scale: 2 }, n: { min: 0, max: 10 } }, range: [-1, 1] }
  expect(await scaled(given)).toMatchObject([
    { x: -1, n: -1 },
    { x: null, n: 1 },
    { x: Infinity, n: -2 },
  ])
  const clipped = await scaled({ ...given, clip: true })
  expect(clipped.map(({ n }) => n)).toEqual([-1, 1, -1])
})

test('a range of one value is shifted to the start', async () => {
  const flat = await scaled({ columns: { n: { min: 10, max: 10 } } })
  expect(flat.map(({ n }) => n)).toEqual([-10, 0, -15])
})

test('text that holds numbers is refused with what to do', async () => {
  await expect(scaled({ columns: { s: 'standard' } })).rejects.toMatchObject({
    code: 'GM_COLUMN_TYPE',
    message: "steps[0].scale.columns.s: scaling needs int64 or float64, but 's' is string",
    hint: 'if it holds numbers, say so: source.types: { s: float64 }',
  })
})

test.each([
  { columns: { x: 'robust' } },
  { columns: { x: { mean: 1, scale: 0 } } },
  { columns: { x: { min: 2, max: 1 } } },
  { columns: { x: 'min-max' }, range: [1, 1] },
  { from: 'run', range: [0, 1] },
  { from: 'run', clip: true },
])('%o is no configuration', (config) => expect(scale.config.safeParse(config).success).toBe(false))
