import { expect, test } from 'vitest'
import { TEXT, runStep } from '../../test/run-step.js'
import { batchFromRows } from '../kernels/columns.js'
import { rowHashes } from '../kernels/sample.js'
import { sample } from './sample.js'

const rows = Array.from({ length: 2000 }, (_, n) => ({ id: `r${n}`, text: String(n), position: n }))
const kept = async (config: object, input = rows) =>
  (await runStep(sample, config, { rows: input, columns: TEXT, batchRows: 97 })).rows.map(({ id }) => id)

test('the same rows stay in any order, and a smaller fraction is a part of a larger', async () => {
  const tenth = await kept({ fraction: 0.1, seed: 7 })
  expect(tenth.length).toBeGreaterThan(150)
  expect(tenth.length).toBeLessThan(250)
  expect((await kept({ fraction: 0.1, seed: 7 }, [...rows].reverse())).reverse()).toEqual(tenth)
  expect(await kept({ fraction: 0.2, seed: 7 })).toEqual(expect.arrayContaining(tenth))
  expect(await kept({ fraction: 0.1, seed: 8 })).not.toEqual(tenth)
  expect(await kept({ fraction: 1 })).toHaveLength(rows.length)
  expect(await kept({ fraction: 0 })).toEqual([])
})

test('a removed row is recorded with its place among all hashes', async () => {
  const { removed } = await runStep(sample, { fraction: 0, seed: 1 }, { rows: rows.slice(0, 2), columns: TEXT })
  const [first] = removed()
  expect(first).toMatchObject({ id: 'r0', step: 'sample', rule: 'fraction', threshold: 0 })
  using batch = batchFromRows(rows.slice(0, 1), TEXT)
  expect(first!['value']).toBeCloseTo(Number(rowHashes(batch, 1)[0]) / 2 ** 64, 12)
})

test('a count is planned for the engine', async () => {
  const { payload } = await sample.prepare(sample.config.parse({ count: 5, seed: 3 }), {
    columns: TEXT,
    baseFolder: '/',
    place: 'steps[0].sample',
  })
  expect(payload).toEqual({ kind: 'count', count: 5, seed: 3 })
})

test.each([{}, { fraction: 0.1, count: 3 }, { fraction: 2 }, { count: -1 }, { count: 1.5 }])(
  '%o is refused',
  (config) => {
    expect(sample.config.safeParse(config).success).toBe(false)
  },
)
