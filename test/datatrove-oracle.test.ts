/**
 * The published filters against datatrove 0.10.1 on real documents: the same values and the same decisions.
 *
 * Both sides split words at white space here. Documents live in the installed packages, so datatrove is asked
 * anew in each run; nothing is stored. It needs minutes for all of them: a run takes every eighth, and
 * `DATATROVE_DOCUMENTS=all` all, which is what to do after a change to the filters.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import { steps } from '../src/steps/index.js'
import { askOracle } from './oracle.js'
import { realDocuments } from './real-documents.js'
import { TEXT, runStep } from './run-step.js'

type Answer = {
  readonly values: Readonly<Record<string, number | null>> | null
  /** Null and the text of a document that stays, the reason of one that leaves. */
  readonly decision: readonly [string] | readonly [null, string]
}

/** datatrove's reason by our rule. */
const REASONS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'gopher-quality': {
    minWords: 'gopher_short_doc',
    maxWords: 'gopher_long_doc',
    minMeanWordLength: 'gopher_below_avg_threshold',
    maxMeanWordLength: 'gopher_above_avg_threshold',
    maxHashRatio: 'gopher_too_many_hashes',
    maxEllipsisRatio: 'gopher_too_many_ellipsis',
    maxBulletLines: 'gopher_too_many_bullets',
    maxEllipsisLines: 'gopher_too_many_end_ellipsis',
    minAlphabeticWords: 'gopher_below_alpha_threshold',
    minStopWords: 'gopher_enough_stop_words',
  },
  'gopher-repetition': {
    minCharacters: 'empty',
    maxDuplicateParagraphs: 'dup_para_frac',
    maxDuplicateParagraphCharacters: 'dup_para_char_frac',
    maxDuplicateLines: 'dup_line_frac',
    maxDuplicateLineCharacters: 'dup_line_char_frac',
    ...Object.fromEntries([2, 3, 4].map((n) => [`maxTop${n}Gram`, `top_${n}_gram`])),
    ...Object.fromEntries([5, 6, 7, 8, 9, 10].map((n) => [`maxDuplicate${n}Grams`, `duplicated_${n}_n_grams`])),
  },
  'c4-quality': { loremIpsum: 'lorem_ipsum', curlyBracket: 'curly_bracket', minSentences: 'too_few_sentences' },
  'fineweb-quality': {
    minLines: 'empty',
    minTerminalLines: 'line_punct_ratio',
    maxShortLines: 'short_line_ratio',
    maxDuplicateLineCharacters: 'char_dup_ratio',
    maxLineFeeds: 'list_ratio',
  },
  'bad-words': { maxMatches: 'document_removed_with_badwords' },
}

/** Words and phrases of the documents, harmless as they are. */
const BAD_WORDS = ['whale', 'harpoon', 'free of charge', 'import numpy', 'self.', 'c++', 'Straße', '§']

const NAMES = Object.keys(REASONS)
const CONFIGS: Readonly<Record<string, object>> = {
  'c4-quality': {},
  'bad-words': { lists: { en: BAD_WORDS }, language: 'en' },
}
const configOf = (name: string): object => CONFIGS[name] ?? { words: 'whitespace', language: 'en' }

/** One document in so many is compared. */
const EVERY = process.env['DATATROVE_DOCUMENTS'] === 'all' ? 1 : 8
/** No rule may remove or keep nearly all of them. */
const FEWEST = 20 / EVERY

let documents: readonly string[]
let texts: readonly string[]
/** Every sixth of them, whose sentences are counted: spaCy takes its time. */
let some: readonly string[]
let answers: Readonly<Record<(typeof NAMES)[number], readonly Answer[]>> & { readonly sentences: readonly number[] }

beforeAll(() => {
  documents = realDocuments()
  texts = [...documents.filter((_text, at) => at % EVERY === 0), '', ' \n', '!!!\n???', 'a'.repeat(3000)]
  some = texts.filter((_text, at) => at % 6 === 0)
  answers = askOracle('datatrove_filters.py', { texts, steps: NAMES, sentences: some, bad_words: BAD_WORDS })
}, 900_000)

test('there are enough documents to say something', () => expect(documents.length).toBeGreaterThan(2000))

describe.each(NAMES)('%s', (name) => {
  const step = steps.get(name)!
  const prefix = `${name.replaceAll('-', '_')}_`

  test('measures the same to 1e-6', async () => {
    const rows = texts.map((text) => ({ text }))
    const { rows: got } = await runStep(
      step,
      { ...configOf(name), mode: 'annotate' },
      { rows, columns: TEXT, batchRows: 500 },
    )
    const wrong = answers[name]!.flatMap(({ values }, at) =>
      Object.entries(values ?? {}).flatMap(([measure, expected]) => {
        const value = got[at]![`${prefix}${measure}`] as number | null
        const same = expected === null || value === null ? expected === value : Math.abs(expected - value) <= 1e-6
        return same ? [] : [{ at, measure, expected, value, text: texts[at]!.slice(0, 80) }]
      }),
    )
    expect(wrong.slice(0, 10)).toEqual([])
  })

  test('decides the same, by the same rule', async () => {
    const rows = texts.map((text, position) => ({ text, position }))
    const run = await runStep(step, configOf(name), { rows, columns: TEXT, batchRows: 500 })
    const removed = new Map(run.removed().map(({ position, rule }) => [Number(position), String(rule)]))
    const wrong = answers[name]!.flatMap(({ decision: [expected] }, at) => {
      const rule = removed.get(at)
      const reason = rule === undefined ? null : REASONS[name]![rule]
      return reason === expected ? [] : [{ at, expected, rule, text: texts[at]!.slice(0, 80) }]
    })
    expect(wrong).toEqual([])
    expect(removed.size).toBeGreaterThan(FEWEST)
    expect(removed.size).toBeLessThan(texts.length - FEWEST)
  })
})

test('c4-quality leaves the same text', async () => {
  const rows = texts.map((text) => ({ text }))
  const { rows: got } = await runStep(steps.get('c4-quality')!, {}, { rows, columns: TEXT, batchRows: 500 })
  const expected = answers['c4-quality']!.flatMap(({ decision: [reason, text] }) => (reason === null ? [text] : []))
  expect(got.map(({ text }) => text)).toEqual(expected)
})

test('sentences are counted as by spaCy, to one in two hundred', async () => {
  const off = { removeCitations: false, terminalPunctuation: false, javascript: false, policy: false }
  const config = { ...off, loremIpsum: false, curlyBracket: false, minWordsPerLine: null, maxWordLength: null }
  const rows = some.map((text) => ({ text }))
  const counted = await runStep(steps.get('c4-quality')!, { ...config, mode: 'annotate' }, { rows, columns: TEXT })
  // In program text spaCy's tokenizer knows more than full stops: emoticons, units, addresses.
  const [all, differ] = some.reduce(
    ([sum, off], _text, at) => {
      const expected = answers.sentences[at]!
      return [sum + expected, off + Math.abs(expected - (counted.rows[at]!['c4_quality_sentences'] as number))]
    },
    [0, 0],
  )
  expect(all).toBeGreaterThan(1000)
  expect(differ / all).toBeLessThan(0.005)
})
