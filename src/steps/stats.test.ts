import { expect, test } from 'vitest'
import { runStep, TEXT } from '../../test/run-step.js'
import { stats } from './stats.js'
import type { AnyStep } from './step.js'

const step = stats as unknown as AnyStep
const columns = [...TEXT, { name: 'lang', type: 'string' }, { name: 'n', type: 'int64' }] as const

test('rows pass as they are', async () => {
  const rows = [
    { text: 'a b', lang: 'en', n: 1 },
    { text: null, lang: null, n: null },
    { text: '', lang: 'de', n: 3 },
  ]
  const run = await runStep(step, { ngrams: [1, 2] }, { rows, columns, batchRows: 2 })
  expect(run.rows).toMatchObject(rows)
  expect(run.columns).toEqual(columns)
  expect([run.removedRows, run.removed(), run.edits(), run.routed()]).toEqual([0, [], [], []])
})

test('the usual columns group where they are, others when they are named', async () => {
  const prepare = async (config: unknown) =>
    step.prepare(step.config.parse(config), { columns, baseFolder: '.', place: 'steps[0].stats' })
  expect((await prepare({})).payload).toMatchObject({ by: ['lang'], ngrams: [], languageColumn: 'lang' })
  expect((await prepare({ by: [], ngrams: [3, 1, 3] })).payload).toMatchObject({ by: [], ngrams: [1, 3] })
  await expect(prepare({ by: ['land'] })).rejects.toThrow(/there is no column 'land'; did you mean 'lang'/u)
  await expect(prepare({ by: ['n'] })).rejects.toThrow("column 'n' is int64, not text")
  await expect(prepare({ by: ['lang', 'lang'] })).rejects.toThrow('steps[0].stats.by names a column twice')
  await expect(prepare({ column: 'n' })).rejects.toThrow("column 'n' is int64, not text")
  expect(step.config.safeParse({ ngrams: [0] }).success).toBe(false)
})
