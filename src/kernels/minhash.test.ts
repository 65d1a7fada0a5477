import { expect, test } from 'vitest'
import { mobyDick } from '../../test/corpora.js'
import { askOracle } from '../../test/oracle.js'
import { chooseBands, simplifyText } from './minhash.js'

function checkSimplified(texts: readonly string[]): void {
  const expected = askOracle<(string | null)[]>('simplify_text.py', texts)
  const known = texts.flatMap((text, index) => (expected[index] === null ? [] : [index]))
  expect(known.length).toBeGreaterThan(texts.length / 2)
  const different = known.filter((index) => simplifyText(texts[index]!, 'datatrove') !== expected[index])
  expect(different.map((index) => [texts[index], simplifyText(texts[index]!, 'datatrove'), expected[index]])).toEqual(
    [],
  )
}

test('texts are simplified as datatrove simplifies them: prose', () => {
  checkSimplified(mobyDick().match(/[^]{1,5000}/gu) ?? [])
})

/** AHOM CONSONANT SIGN MEDIAL RA: a non-spacing mark up to Unicode 15, a spacing one since. */
const RECLASSIFIED = 0x1171e

test('texts are simplified as datatrove simplifies them: each character, alone, within a word, in a number', () => {
  const codes = Array.from({ length: 0x20000 }, (_, code) => code).filter(
    (code) => (code < 0xd800 || code > 0xdfff) && code !== RECLASSIFIED,
  )
  checkSimplified(codes.map((code) => String.fromCodePoint(code)).map((c) => `a${c}b ${c} 1${c}2 Σ${c}`))
})

test('bands are as many minima long as recall allows', () => {
  expect(chooseBands(112, 0.8)).toEqual({ bands: 16, rows: 7 })
  expect(chooseBands(4, 0.2)).toBeUndefined()
})
