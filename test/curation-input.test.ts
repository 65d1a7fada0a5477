/**
 * Texts that steps for curation may meet: without words, of emoji, written from right to left, in no language,
 * and very long.
 */
import { join } from 'node:path'
import { beforeAll, expect, test } from 'vitest'
import { decontaminate } from '../src/steps/decontaminate.js'
import { language } from '../src/steps/language.js'
import { pii } from '../src/steps/pii.js'
import type { AnyStep } from '../src/steps/step.js'
import { LANGUAGE_MODEL } from './classifier-texts.js'
import { place } from './corpora.js'
import { testFolder } from './folder.js'
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
  expect(await masked(wordless)).toEqual(wordless)
  expect((await shares(wordless)).map(({ contamination }) => contamination)).toEqual(wordless.map(() => 0))
})

test('texts in no language have some label and a low score', async () => {
  const texts = [EMOJI, '1234567890 42 3.14159', '+-*/=<>()[]{}', '\u0301\u0302\u0303', '\u202e\u200f\u2066']
  for (const { lang, lang_score: score } of await languages(texts)) {
    expect(lang).toEqual(expect.any(String))
    expect(score).toBeLessThan(0.65)
  }
  expect(await masked(texts)).toEqual(texts)
  expect((await shares(texts)).map(({ contamination }) => contamination)).toEqual(texts.map(() => 0))
})

test('text from right to left', async () => {
  const found = await languages([ARABIC, HEBREW])
  expect(found.map(({ lang }) => lang)).toEqual(['ar', 'he'])
  for (const { lang_score: score } of found) expect(score).toBeGreaterThan(0.9)
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
