import { expect, test } from 'vitest'
import { TEXT, runStep } from '../../test/run-step.js'
import { lineFilter } from './line-filter.js'

const PROSE = 'The mill stood where the river bent, and the wheel had turned there since before anyone could remember.'
const LONG = Array.from({ length: 20 }, (_, at) => `${at}. ${PROSE}`).join('\n')

test('lines are cut, phrases taken out, and both recorded', async () => {
  const text = `HOME\n\nSign-in to read on.\n${LONG}\n2,048 views\nRead more...`
  const run = await runStep(lineFilter, {}, { rows: [{ id: 'a', text }], columns: TEXT })
  expect(run.rows).toEqual([{ id: 'a', text: `to read on.\n${LONG}` }])
  expect(run.edits()).toEqual(
    [
      ['maxUppercase', 1, 4],
      ['counters', 1, 11],
      ['suffixes', 1, 12],
      ['prefixes', 1, 8],
    ].map(([rule, count, bytes]) => expect.objectContaining({ id: 'a', step: 'line-filter', rule, count, bytes })),
  )
})

test('a document that loses more than its share of words is removed, and so is one without words', async () => {
  const texts = [`${PROSE}\nHOME\nABOUT US`, '', ' \n ', PROSE]
  const run = await runStep(lineFilter, {}, { rows: texts.map((text) => ({ text })), columns: TEXT })
  expect(run.rows.map(({ text }) => text)).toEqual([PROSE])
  expect(run.removed()).toMatchObject([
    { rule: 'maxRemovedWords', value: 3 / 21, threshold: 0.05 },
    { rule: 'minLines', value: 0, threshold: 1 },
    { rule: 'minLines', value: 0, threshold: 1 },
  ])
  expect(run.edits()).toEqual([])
})

test('annotate measures and changes nothing', async () => {
  const text = `${PROSE}\nHOME\n3 likes\n12\nword`
  const { rows } = await runStep(lineFilter, { mode: 'annotate' }, { rows: [{ text }], columns: TEXT })
  expect(rows[0]).toMatchObject({
    text,
    line_filter_removed_words: 5 / 23,
    line_filter_lines: 1,
    line_filter_uppercase_lines: 1,
    line_filter_counter_lines: 1,
    line_filter_number_lines: 1,
    line_filter_short_lines: 1,
    line_filter_rule: 'maxRemovedWords',
  })
})

test('lines without spaces have as many words as their script says', async () => {
  const text = '他今天去了北京。\n今日は東京へ行きました。\nวันนี้ฉันไปกรุงเทพ'
  const { rows } = await runStep(lineFilter, {}, { rows: [{ text }], columns: TEXT })
  expect(rows).toMatchObject([{ text }])
})

test('rules can be switched off', async () => {
  const off = { maxUppercase: null, numbers: false, counters: [], minWords: null, phrases: [], suffixes: [] }
  const text = 'HOME\n12\n3 likes\nword\nread more...\nsign-in'
  const { rows } = await runStep(lineFilter, { ...off, prefixes: [] }, { rows: [{ text }], columns: TEXT })
  expect(rows).toMatchObject([{ text }])
})
