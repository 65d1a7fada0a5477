/**
 * Texts that steps for curation may meet: without words, of emoji, written from right to left, in no language,
 * and very long.
 */
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { classify } from '../src/steps/classify.js'
import { decontaminate } from '../src/steps/decontaminate.js'
import { steps } from '../src/steps/index.js'
import { language } from '../src/steps/language.js'
import { pii } from '../src/steps/pii.js'
import type { AnyStep } from '../src/steps/step.js'
import { LANGUAGE_MODEL } from './classifier-texts.js'
import { metricsOf, pipelineFile, runWell } from './command.js'
import { place } from './corpora.js'
import { testFolder } from './folder.js'
import { decidedIn } from './near-duplicates.js'
import { TEXT, runStep } from './run-step.js'

const ARABIC = 'كل الناس يولدون أحراراً ومتساوين في الكرامة والحقوق، وقد وهبوا عقلاً وضميراً وعليهم أن يعامل بعضهم بعضاً'
const HEBREW = '\u202bכל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם\u202c'
const EMOJI = '👩‍👩‍👧‍👦🇩🇪👍🏽 🎉🎉 ❤️‍🔥'
const ENGLISH = 'He drank the last of his coffee and looked out over the grey water of the harbour. '
const MAIL = 'x.y@example.net'
const wordless = ['', ' ', '\n\n', '\t\u000b\f\r', '\0']

const folder = testFolder('curation')
beforeAll(() => {
  const items = [ARABIC, HEBREW, `${ENGLISH}${ENGLISH}`].map((question) => `${JSON.stringify({ question })}\n`)
  place(join(folder, 'evals.jsonl'), items.join(''))
})

type Values = Record<string, unknown>

async function rowsOf(step: AnyStep, config: object, texts: readonly string[]): Promise<Values[]> {
  return (await runStep(step, config, { rows: texts.map((text) => ({ text })), columns: TEXT })).rows
}
const languages = (texts: readonly string[]): Promise<Values[]> =>
  rowsOf(language, { model: LANGUAGE_MODEL, mode: 'annotate' }, texts)
/** Any fastText classifier is one for `classify`, this model too. */
const scores = (texts: readonly string[]): Promise<Values[]> =>
  rowsOf(classify, { model: LANGUAGE_MODEL, label: 'en', mode: 'annotate' }, texts)
const masked = async (texts: readonly string[]): Promise<unknown[]> =>
  (await rowsOf(pii, {}, texts)).map(({ text }) => text)
const shares = (texts: readonly string[]): Promise<Values[]> =>
  rowsOf(
    decontaminate,
    { against: [join(folder, 'evals.jsonl')], fields: ['question'], ngram: 8, mode: 'annotate' },
    texts,
  )

test('texts without words have no language, nothing private, and nothing of a benchmark', async () => {
  expect((await languages(wordless)).map(({ lang, lang_score: score }) => [lang, score])).toEqual(
    wordless.map(() => [null, null]),
  )
  expect((await scores(wordless)).map(({ label, score }) => [label, score])).toEqual(wordless.map(() => [null, null]))
  expect(await masked(wordless)).toEqual(wordless)
  expect((await shares(wordless)).map(({ contamination }) => contamination)).toEqual(wordless.map(() => 0))
})

test('texts in no language have some label and a low score', async () => {
  const texts = [EMOJI, '1234567890 42 3.14159', '+-*/=<>()[]{}', '\u0301\u0302\u0303', '\u202e\u200f\u2066']
  for (const { lang, lang_score: score } of await languages(texts)) {
    expect(lang).toEqual(expect.any(String))
    expect(score).toBeLessThan(0.65)
  }
  for (const { label, score } of await scores(texts)) {
    expect(label).toEqual(expect.any(String))
    expect(score).toBeLessThan(0.65)
  }
  expect(await masked(texts)).toEqual(texts)
  expect((await shares(texts)).map(({ contamination }) => contamination)).toEqual(texts.map(() => 0))
})

test('text from right to left', async () => {
  const found = await languages([ARABIC, HEBREW])
  expect(found.map(({ lang }) => lang)).toEqual(['ar', 'he'])
  for (const { lang_score: score } of found) expect(score).toBeGreaterThan(0.9)
  for (const { score } of await scores([ARABIC, HEBREW])) expect(score).toBeLessThan(0.1)
  const mixed = [`${ARABIC} ${MAIL}، ${ARABIC}`, `${HEBREW}${MAIL}${HEBREW}`, `${EMOJI}${MAIL}${EMOJI}`]
  expect(await masked(mixed)).toEqual(mixed.map((text) => text.replace(MAIL, '<EMAIL>')))
  const whole = await shares([`${EMOJI} ${ARABIC}`, `(${HEBREW})`])
  expect(whole.map(({ contamination }) => contamination)).toEqual([1, 1])
})

test('a document of 100 MB, half of it without white space', async () => {
  const half = (piece: string): string => piece.repeat(Math.ceil(50e6 / Buffer.byteLength(piece)))
  const words = half('Sleet had been falling since the morning, and nobody was about in the narrow lanes. ')
  const text = `${words}${half('他喝完了最后一口咖啡，望着港口灰色的水面。')} ${ENGLISH}${ENGLISH}${MAIL}`
  expect((await languages([text]))[0]).toMatchObject({ lang: expect.any(String), lang_score: expect.any(Number) })
  expect((await masked([text]))[0]).toSatisfy((got: string) => got === text.replace(MAIL, '<EMAIL>'))
  expect((await shares([text]))[0]).toMatchObject({
    contamination: 1,
    contamination_item: expect.stringMatching(/:2$/),
  })
}, 120_000)

test('deduplication: what equals is removed whatever it is, and only words can be nearly alike', async () => {
  const root = testFolder('odd')
  const texts = [
    ...wordless,
    '!?',
    EMOJI,
    ARABIC,
    HEBREW,
    '1234567890 42',
    '+-*/=<>',
    '\u0301\u0302',
    '\u202e\u200f\u2066',
  ]
  const rows = [...texts, ...texts].map((text, at) => ({ id: String(at), text }))
  place(join(root, 'in/a.jsonl'), rows.map((row) => `${JSON.stringify(row)}\n`).join(''))
  const removedBy = async (step: string): Promise<number[]> => {
    const sink = { format: 'jsonl', compression: 'none' }
    const out = join(root, step)
    await runWell(pipelineFile(root, { source: { paths: ['in'] }, steps: [step], sink }, `${step}.yaml`), out)
    const { kept, removed } = decidedIn(out)
    expect(kept.length + removed.length).toBe(rows.length)
    return removed.map(({ id }) => Number(id) - texts.length).toSorted((a, b) => a - b)
  }
  expect(await removedBy('exact-dedup')).toEqual(texts.map((_, at) => at))
  // As datatrove simplifies texts, ASCII symbols and accents are nothing, and what cannot be seen is a word.
  const nothing = [...wordless, '!?', '+-*/=<>', '\u0301\u0302']
  const words = texts.flatMap((text, at) => (nothing.includes(text) ? [] : [at]))
  expect(await removedBy('minhash-dedup')).toEqual(words)
}, 60_000)

test('documents of 100 MB through a whole run', { timeout: 240_000 }, async () => {
  const root = testFolder('odd')
  const words = Array.from({ length: 1_300_000 }, (_, at) => ((at * 2_654_435_761) % 2 ** 32).toString(36)).join(' ')
  const text = `${words} `.repeat(Math.ceil(100e6 / words.length))
  const texts = [text, `${text}and a word more`, text, 'A short one.']
  place(join(root, 'in/a.jsonl'), texts.map((one, at) => `${JSON.stringify({ id: String(at), text: one })}\n`).join(''))
  const steps = ['normalize', { filter: 'length(text) > 5' }, 'stats', 'exact-dedup', 'minhash-dedup']
  const sink = { format: 'jsonl', compression: 'none' }
  const out = join(root, 'out')
  await runWell(pipelineFile(root, { source: { paths: ['in'] }, steps, sink }), out)
  const { kept, removed } = decidedIn(out)
  expect(kept.map(({ id }) => id)).toEqual(['0', '3'])
  expect(removed.map(({ id, keeper }) => [id, keeper])).toEqual([
    ['2', '0'],
    ['1', '0'],
  ])
  const [all] = metricsOf(out).statistics![0]!.groups
  expect(all!.lengths.map(({ total }) => total)[0]).toBe(texts.reduce((sum, one) => sum + one.length, 0))
})

test.each([
  ['normalize', {}],
  ['language', { model: LANGUAGE_MODEL }],
  ['classify', { model: LANGUAGE_MODEL }],
  ['pii', {}],
  ['decontaminate', { against: ['evals.jsonl'], fields: ['question'] }],
  ['url-filter', { domains: ['a.example'], column: 'text' }],
  ['gopher-repetition', {}],
  ['gopher-quality', {}],
  ['c4-quality', {}],
  ['fineweb-quality', {}],
  ['line-filter', {}],
  ['bad-words', { lists: { '*': ['darn'] } }],
  ['exact-dedup', { by: 'line' }],
  ['minhash-dedup', {}],
  ['stats', {}],
  ['chunk', { size: 100 }],
])('a text column of numbers is refused by %s', async (name, config) => {
  const step = steps.get(name)!
  const columns = [{ name: 'text', type: 'float64' }] as const
  const prepared = step.prepare(step.config.parse(config), { columns, baseFolder: folder, place: `steps[0].${name}` })
  await expect(prepared).rejects.toMatchObject({
    code: 'GM_COLUMN_TYPE',
    message: expect.stringMatching(/^steps\[0\]\..*text.* is float64/u),
  })
})
