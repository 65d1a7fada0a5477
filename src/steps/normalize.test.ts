import fc from 'fast-check'
import { expect, test } from 'vitest'
import { askOracle } from '../../test/oracle.js'
import { TEXT, runStep } from '../../test/run-step.js'
import { normalize } from './normalize.js'

interface Oracle {
  readonly answers: readonly { readonly text: string; readonly unassigned: boolean }[]
  readonly entities: readonly string[]
}

async function normalized(config: object, texts: readonly (string | null)[]): Promise<unknown[]> {
  const rows = texts.map((text) => ({ text }))
  return (await runStep(normalize, config, { rows, columns: TEXT })).rows.map(({ text }) => text)
}

test('rules apply in the stated order', async () => {
  const config = { unicode: 'NFC', whitespace: true, controls: 'strip', html: 'unescape' }
  expect(await normalized(config, ['e&#x301;\0 &amp;lt;\r\n\r\n\r\n&#13;x&#32;&nbsp;', null, 'clean'])).toEqual([
    'é &lt;\n\nx \u00a0',
    null,
    'clean',
  ])
})

test('by default only the Unicode form changes', async () => {
  expect(await normalized({}, ['e\u0301 &amp;\0  \r\n'])).toEqual(['é &amp;\0  \r\n'])
  expect(await normalized({ unicode: 'none' }, ['e\u0301'])).toEqual(['e\u0301'])
})

test('a misspelt column is named', async () => {
  await expect(normalized({ column: 'txt' }, [])).rejects.toThrow(
    "steps[0].normalize: there is no column 'txt'; did you mean 'text'?",
  )
})

test.each(['NFC', 'NFD', 'NFKC', 'NFKD'])('%s agrees with unicodedata of Python', async (form) => {
  const characters = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.string({
      unit: fc.constantFrom('e', '\u0301', '\u0323', '가', '\u1100', '\u1161', '\u11a8', 'ﬁ', 'Å', 'か', '\u3099', 'A'),
    }),
  )
  const texts = fc.sample(characters, { numRuns: 3000, seed: 3 })
  const { answers } = askOracle<Oracle>('normalize.py', { texts, form, html: false })
  const got = await normalized({ unicode: form }, texts)
  const wrong = answers.filter(({ text, unassigned }, at) => !unassigned && text !== got[at])
  expect(wrong).toEqual([])
  expect(answers.filter(({ unassigned }) => !unassigned).length).toBeGreaterThan(1000)
})

test('entities agree with html.unescape of Python', async () => {
  const { entities } = askOracle<Oracle>('normalize.py', { texts: [], form: 'none', html: true })
  expect(entities.length).toBeGreaterThan(2200)
  const numbers = fc
    .integer({ min: 0x9f, max: 0xd7ff })
    .chain((n) => fc.constantFrom(`&#${n};`, `&#x${n.toString(16)}`, `&#X${n.toString(16)};`))
  const part = fc.oneof(
    fc.constantFrom(...entities.map((name) => `&${name}`)),
    numbers,
    fc.constantFrom(
      '&',
      ';',
      '&#',
      '&#x',
      '&#;',
      '&nosuch;',
      '&amp;lt;',
      '&notit;',
      'lt;',
      ' ',
      'a',
      '=',
      '&#x110000;',
      '&#xd800;',
      '&#128;',
      '&#x9F;',
    ),
  )
  const texts = [
    ...entities.map((name) => `&${name}`),
    ...entities.map((name) => `a&${name} b`),
    ...fc.sample(
      fc.array(part, { maxLength: 5 }).map((parts) => parts.join('')),
      { numRuns: 3000, seed: 5 },
    ),
  ]
  const { answers } = askOracle<Oracle>('normalize.py', { texts, form: 'none', html: true })
  const got = await normalized({ unicode: 'none', html: 'unescape' }, texts)
  const wrong = answers.flatMap(({ text }, at) =>
    text === got[at] ? [] : [{ source: texts[at], expected: text, got: got[at] }],
  )
  expect(wrong.slice(0, 5)).toEqual([])
})

test('numbers of code points that are no characters stay, where Python drops them', async () => {
  expect(await normalized({ html: 'unescape' }, ['a&#1;b&#xFFFF;c&#0;d'])).toEqual(['a\u0001b\uffffc\ufffdd'])
})
