import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TEXT, runStep } from '../../test/run-step.js'
import { GristmillError } from '../core/errors.js'
import { type Columns, liveBatchBytes } from '../kernels/batch.js'
import type { Row } from '../kernels/rows.js'
import { filter } from './filter.js'

const COLUMNS: Columns = [...TEXT, { name: 'lang', type: 'string' }, { name: 'n', type: 'int64' }]

test('a removed row is recorded under the rule it fails first, with what was measured', async () => {
  const rows = [
    { id: 'a', text: 'long enough', lang: 'en' },
    { id: 'b', text: '漢字', lang: 'zh' },
    { text: 'long as well', lang: 'de' },
    { id: 'd', text: 'also long', lang: null },
    { id: 'e', text: null, lang: 'en' },
  ]
  const { rows: kept, removed } = await runStep(filter, "length(text) >= 5 and lang in ('en', 'zh')", {
    rows,
    columns: COLUMNS,
  })
  expect(kept.map(({ id }) => id)).toEqual(['a'])
  const keeper = { keeper: null, keeper_file: null, keeper_position: null, keeper_run: null }
  const where = { file: 'rows.jsonl', step: 'filter', ...keeper, cluster: null, cluster_size: null }
  expect(removed()).toEqual([
    { ...where, id: 'b', position: 1, rule: 'length(text) >= 5', value: 2, threshold: 5 },
    { ...where, id: 'e', position: 4, rule: 'length(text) >= 5', value: null, threshold: 5 },
    { ...where, id: 'rows.jsonl:2', position: 2, rule: "lang in ('en', 'zh')", value: null, threshold: null },
    { ...where, id: 'd', position: 3, rule: "lang in ('en', 'zh')", value: null, threshold: null },
  ])
})

test('a condition may stand under expr', async () => {
  const rows = [
    { id: 'a', text: 'x' },
    { id: 'b', text: '' },
  ]
  expect((await runStep(filter, { expr: "text != ''" }, { rows, columns: TEXT })).rows).toHaveLength(1)
})

test('a function of the row decides, and is awaited', async () => {
  const rows = [1, 2, 3, 4].map((n) => ({ id: `r${n}`, text: 'x'.repeat(n), n }))
  const functions = [
    async (row: Row) => Promise.resolve((row['n'] as number) % 2 === 0 && row['file'] === 'rows.jsonl'),
  ]
  const { rows: kept, removed } = await runStep(filter, { function: 0 }, { rows, columns: COLUMNS, functions })
  expect(kept.map(({ id }) => id)).toEqual(['r2', 'r4'])
  expect(removed()).toMatchObject([
    { id: 'r1', rule: 'function', value: null },
    { id: 'r3', rule: 'function' },
  ])
})

test("a function that throws stops the run with the row's name, and its error is the cause", async () => {
  const thrown = new RangeError('no such thing')
  const fail = (row: Row) => {
    if (row['text'] === 'b') throw thrown
    return true
  }
  const rows = [{ id: 'a', text: 'a' }, { text: 'b' }]
  const run = runStep(filter, { function: 0 }, { rows, columns: TEXT, functions: [fail] })
  const error = await run.catch((caught: unknown) => caught)
  expect(error).toBeInstanceOf(GristmillError)
  expect(error).toMatchObject({
    code: 'GM_USER_FUNCTION',
    message: "filter, row 'rows.jsonl:1': the function threw: no such thing",
  })
  expect((error as GristmillError).cause).toBe(thrown)
})

test('an expression of another type is refused', async () => {
  const run = runStep(filter, 'length(text)', { rows: [], columns: TEXT })
  await expect(run).rejects.toThrow('steps[0].filter: this gives int64, a condition must be true or false')
})

test('every row is either kept or recorded, whatever the batches', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.option(fc.string({ unit: 'grapheme' }))),
      fc.integer({ min: 1, max: 7 }),
      async (texts, batchRows) => {
        const rows = texts.map((text, i) => ({ id: String(i), text }))
        const { rows: kept, removedRows } = await runStep(filter, 'length(text) > 3', {
          rows,
          columns: TEXT,
          batchRows,
        })
        expect(kept).toEqual(rows.filter(({ text }) => text !== null && Array.from(text).length > 3))
        expect(removedRows).toBe(rows.length - kept.length)
      },
    ),
  ))

test('no batch is left behind', () => expect(liveBatchBytes()).toBe(0))
