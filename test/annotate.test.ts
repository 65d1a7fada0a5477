/**
 * `mode: annotate` of every step that removes rows by what it measures: nothing goes, nothing changes, and by its
 * columns the rows can be told that the step would remove.
 */
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Columns } from '../src/kernels/batch.js'
import { steps } from '../src/steps/index.js'
import { LANGUAGE_MODEL } from './classifier-texts.js'
import { place } from './corpora.js'
import { testFolder } from './folder.js'
import { realDocuments } from './real-documents.js'
import { runStep } from './run-step.js'

const folder = testFolder('annotate')

const QUESTION = 'Which of the rivers that flow into the lake carries the most water in a year of ordinary rain?'
place(join(folder, 'evals.jsonl'), `${JSON.stringify({ question: QUESTION })}\n`)

const TEXTS = [
  ...realDocuments().filter((_, at) => at % 40 === 0),
  `Asked once more. ${QUESTION} Nobody knew.`,
  'Write to anna.schmidt@uni-koeln.de or call +49 221 470 3800, please, and ask for the key.',
  'LIKES\n12 likes\nThis line stays as it is, and so does the next one after it.\nread more...',
  'darn the darn mill, said the miller, and shut the gate behind him.',
  'Ein Satz auf Deutsch, der von einer Mühle am Bach handelt und von dem Müller, der in ihr wohnt.',
  '今年春天，村里的磨坊重新开张了。老人说，这座磨坊是在一百多年以前建成的。',
  '',
  '\n\n',
  '👩‍👩‍👧‍👦🇩🇪👍🏽',
  null,
]
const ROWS = TEXTS.map((text, at) => ({
  id: String(at),
  text,
  url: at % 3 === 0 ? `http://a.example/${at}` : at % 3 === 1 ? `https://b.example/${at}` : null,
}))
const COLUMNS: Columns = [
  { name: 'text', type: 'string' },
  { name: 'url', type: 'string' },
]

type Values = Record<string, unknown>

interface Filter {
  readonly config: object
  /** Columns that are added, in order. */
  readonly added: RegExp
  /** Whether a row would be removed, by what its columns say. */
  leaves(row: Values): boolean
}

const byRule = (step: string, config: object = {}): Filter => {
  const prefix = step.replaceAll('-', '_')
  return {
    config,
    added: new RegExp(`^(${prefix}_\\w+ )+${prefix}_rule$`, 'u'),
    leaves: (row) => row[`${prefix}_rule`] !== null,
  }
}

const FILTERS: Readonly<Record<string, Filter>> = {
  filter: {
    config: { expr: 'length(text) >= 200 and words(text) / lines(text) > 2' },
    added: /^passes$/u,
    leaves: ({ passes }) => passes !== true,
  },
  language: {
    config: { model: LANGUAGE_MODEL, keep: ['en', 'de'], minScore: 0.5 },
    added: /^lang lang_score$/u,
    leaves: ({ lang, lang_score: score }) => !['en', 'de'].includes(String(lang)) || Number(score) < 0.5,
  },
  classify: {
    config: { model: LANGUAGE_MODEL, label: 'en', minScore: 0.3 },
    added: /^label score$/u,
    leaves: ({ score }) => score === null || Number(score) < 0.3,
  },
  pii: {
    config: { kinds: ['email', 'phone'], action: 'drop' },
    added: /^pii_email pii_phone$/u,
    leaves: ({ pii_email: emails, pii_phone: phones }) => Number(emails) + Number(phones) > 0,
  },
  decontaminate: {
    config: { against: [join(folder, 'evals.jsonl')], fields: ['question'], ngram: 8, threshold: 0.5 },
    added: /^contamination contamination_item contamination_ngram$/u,
    leaves: ({ contamination }) => Number(contamination) > 0.5,
  },
  'url-filter': byRule('url-filter', { domains: ['a.example'] }),
  'gopher-repetition': byRule('gopher-repetition'),
  'gopher-quality': byRule('gopher-quality'),
  'c4-quality': byRule('c4-quality'),
  'fineweb-quality': byRule('fineweb-quality'),
  'line-filter': byRule('line-filter'),
  'bad-words': byRule('bad-words', { lists: { en: ['darn'] } }),
}

test('every step that has the mode is here', () => {
  const having = [...steps.values()].filter(({ config, name }) => {
    const given = FILTERS[name]?.config ?? {}
    const issues = config.safeParse({ ...given, mode: 'nonsense' }).error?.issues ?? []
    return JSON.stringify(issues).includes('annotate')
  })
  expect(having.map(({ name }) => name).toSorted()).toEqual(Object.keys(FILTERS).toSorted())
})

describe.each(Object.keys(FILTERS))('%s', (name) => {
  const { config, added, leaves } = FILTERS[name]!
  const step = steps.get(name)!

  test('keeps every row as it is, and its columns tell which ones would leave', async () => {
    const removing = await runStep(step, config, { rows: ROWS, columns: COLUMNS })
    const annotated = await runStep(
      step,
      { ...config, mode: 'annotate' },
      { rows: ROWS, columns: COLUMNS, batchRows: 7 },
    )
    expect(annotated.rows.map(({ id, text, url }) => ({ id, text, url }))).toEqual(ROWS)
    expect([annotated.removedRows, annotated.routed()]).toEqual([0, []])
    if (name === 'c4-quality' || name === 'line-filter') expect(annotated.edits()).toEqual([])
    const [, , ...columns] = annotated.columns
    expect(columns.map((column) => column.name).join(' ')).toMatch(added)

    const stay = annotated.rows.filter((row) => !leaves(row)).map(({ id }) => id)
    expect(removing.rows.map(({ id }) => id)).toEqual(stay)
    expect(removing.removedRows).toBe(ROWS.length - stay.length)
    expect([stay.length > 0, removing.removedRows > 0]).toEqual([true, true])
  })
})

test('filter by a function says of each row whether it would stay, in a column of any name', async () => {
  const functions = [(row: Values) => (row['id'] as string).length === 1]
  const config = { function: 0, mode: 'annotate', passesColumn: 'short' }
  const run = await runStep(steps.get('filter')!, config, { rows: ROWS, columns: COLUMNS, functions, batchRows: 9 })
  expect(run.rows.map(({ short }) => short)).toEqual(ROWS.map(({ id }) => id.length === 1))
  expect(run.removedRows).toBe(0)
  for (const passesColumn of ['id', 'text', '__x', '']) {
    const refused = runStep(
      steps.get('filter')!,
      { ...config, passesColumn },
      { rows: [], columns: COLUMNS, functions },
    )
    await expect(refused).rejects.toMatchObject({ code: 'GM_CONFIG' })
  }
})

test('filter says null where its condition is unknown', async () => {
  const rows = [
    { id: 'a', n: 1 },
    { id: 'b', n: null },
    { id: 'c', n: 3 },
  ]
  const columns = [{ name: 'n', type: 'int64' }] as const
  const run = await runStep(steps.get('filter')!, { expr: 'n > 2', mode: 'annotate' }, { rows, columns })
  expect(run.rows.map(({ passes }) => passes)).toEqual([false, null, true])
})
