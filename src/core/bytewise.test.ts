import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareBytewise } from './bytewise.js'

test('orders strings as their UTF-8 bytes are ordered', () => {
  const text = fc.string({ unit: 'binary', maxLength: 6 })
  const bytes = (value: string): Buffer => Buffer.from(value)
  fc.assert(
    fc.property(text, text, text, (shared, a, b) => {
      const [left, right] = [shared + a, shared + b]
      expect(Math.sign(compareBytewise(left, right))).toBe(Buffer.compare(bytes(left), bytes(right)))
    }),
    { numRuns: 2_000 },
  )
})

test('puts characters above U+FFFF last, where UTF-16 puts them before U+E000', () => {
  const sorted = ['a', 'a\u00e4', 'b', '\ud7ff', '\ue000', '\uffff', '\u{10000}', '\u{10ffff}']
  expect([...sorted].reverse().sort(compareBytewise)).toEqual(sorted)
})
