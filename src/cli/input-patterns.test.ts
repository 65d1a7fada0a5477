import fc from 'fast-check'
import picomatch from 'picomatch'
import { expect, test } from 'vitest'
import { inputPatterns } from './input-patterns.js'

test.each([
  [['a.jsonl'], ['a.jsonl']],
  [['data/1.jsonl.zst', 'data/2.jsonl.zst', 'data/3.jsonl.zst'], ['data/*.jsonl.zst']],
  [['data/1.jsonl', 'data/en/2.jsonl', 'data/zh/3.jsonl'], ['data/**/*.jsonl']],
  [
    ['data/1.jsonl', 'data/2.jsonl.gz', 'data/3.jsonl'],
    ['data/*.jsonl', 'data/*.jsonl.gz'],
  ],
  [['a.csv', 'b.csv', 'c.csv'], ['*.csv']],
  [
    ['one/a.csv', 'two/b.csv', 'two/c.csv'],
    ['one/**/*.csv', 'two/**/*.csv'],
  ],
  [['../a.csv', '../b.csv', '../c.csv'], ['../*.csv']],
])('%j becomes %j', (paths, patterns) => {
  expect(inputPatterns(paths)).toEqual(patterns)
})

test('the patterns match every file they were made of', () => {
  const name = fc.stringMatching(/^[a-z]{1,3}$/)
  const path = fc
    .tuple(fc.array(name, { maxLength: 3 }), name, fc.constantFrom('.jsonl', '.jsonl.zst', '.txt', ''))
    .map(([folders, file, suffix]) => [...folders, `${file}${suffix}`].join('/'))
  fc.assert(
    fc.property(fc.uniqueArray(path, { minLength: 1, maxLength: 12 }), (paths) => {
      const matches = picomatch(inputPatterns(paths))
      expect(paths.filter((one) => !matches(one))).toEqual([])
    }),
  )
})
