/**
 * `line-filter` against plain loops in Python, on real documents with the lines between theirs that the rules are
 * about.
 */
import { beforeAll, expect, test } from 'vitest'
import { lineFilter } from '../src/steps/line-filter.js'
import { askOracle } from './oracle.js'
import { realDocuments } from './real-documents.js'
import { runStep, TEXT } from './run-step.js'

interface Answer {
  readonly measures: Readonly<Record<string, number | null>>
  readonly text: string
}

/** Lines as web pages have them between their paragraphs. */
const LINES = [
  'ALL CAPITALS, nearly',
  'ÄÖÜ ÉÈ ß',
  '2024',
  '٢٠٢٤ ٣',
  '½',
  '3 likes',
  '» 1,024 Views «',
  '1.5k followers!',
  '12 likes it',
  'k likes',
  'word',
  '   ',
  '\u{3000}single\u{2003}',
  '3 Items in cart',
  'Items in cartItems in cart items in cart',
  'Sign-in or go on to read more...',
  'sign-in',
  'Read more... please, do read more...',
  'this line of more than ten words says sign-in and items in cart, read more...',
  ' indented Read more...  ',
]

let texts: readonly string[]
let answers: readonly Answer[]

beforeAll(() => {
  const documents = realDocuments().filter((_text, at) => at % 6 === 0)
  const mixed = documents.map((text, at) => {
    const lines = text.split('\n')
    for (let n = 0; n < at % 4; n++)
      lines.splice((at * 7 + n * 3) % (lines.length + 1), 0, LINES[(at + n) % LINES.length]!)
    return lines.join('\n')
  })
  texts = [...mixed, ...LINES, LINES.join('\n'), '', '\n\n', ' \n a b \n']
  answers = askOracle<Answer[]>('line_filter.py', { texts })
}, 60_000)

const run = (config: object): ReturnType<typeof runStep> =>
  runStep(
    lineFilter,
    { words: 'whitespace', language: 'en', ...config },
    { rows: texts.map((text, position) => ({ text, position })), columns: TEXT, batchRows: 100 },
  )

test('measures the same', async () => {
  const { rows } = await run({ mode: 'annotate' })
  const wrong = answers.flatMap(({ measures }, at) =>
    Object.entries(measures).flatMap(([measure, expected]) => {
      const value = rows[at]![`line_filter_${measure}`] as number | null
      const same = expected === null || value === null ? expected === value : Math.abs(expected - value) < 1e-12
      return same ? [] : [{ at, measure, expected, value, text: texts[at]!.slice(0, 80) }]
    }),
  )
  expect(wrong.slice(0, 10)).toEqual([])
  const ofRule = (measure: string): number => answers.reduce((sum, { measures }) => sum + (measures[measure] ?? 0), 0)
  for (const measure of Object.keys(answers[0]!.measures)) expect(ofRule(measure)).toBeGreaterThan(1)
})

test('leaves the same texts, and removes the same documents', async () => {
  const all = await run({ maxRemovedWords: null })
  const left = answers.filter(({ measures }) => measures['lines'] !== 0)
  expect(all.rows.map(({ text }) => text)).toEqual(left.map(({ text }) => text))

  const removed = new Map((await run({})).removed().map(({ position, rule }) => [Number(position), rule]))
  const rules = answers.map(({ measures }) =>
    (measures['removed_words'] ?? 0) > 0.05 ? 'maxRemovedWords' : measures['lines'] === 0 ? 'minLines' : undefined,
  )
  expect(texts.map((_text, at) => removed.get(at))).toEqual(rules)
})
