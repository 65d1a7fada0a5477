import { expect, test } from 'vitest'
import { GristmillError } from '../core/errors.js'
import type { Columns } from '../kernels/batch.js'
import { columnsRead, conjuncts, parseCondition, parseExpression, printExpression, simpleThreshold } from './index.js'

const COLUMNS: Columns = [
  { name: 'text', type: 'string' },
  { name: 'lang', type: 'string' },
  { name: 'score', type: 'float64' },
  { name: 'n', type: 'int64' },
  { name: 'good', type: 'boolean' },
  { name: 'meta', type: 'json' },
  { name: 'tokens', type: 'tokens' },
  { name: 'date', type: 'other' },
  { name: 'odd name', type: 'string' },
  { name: 'and', type: 'string' },
]

function problem(source: string): string {
  try {
    parseExpression(source, COLUMNS, 'steps[1].filter')
  } catch (error) {
    expect(error).toBeInstanceOf(GristmillError)
    expect((error as GristmillError).code).toBe('GM_EXPRESSION')
    return (error as GristmillError).message
  }
  throw new Error(`${source} was accepted`)
}

const ast = (source: string) => parseExpression(source, COLUMNS, 'where').ast
const typeOf = (source: string) => parseExpression(source, COLUMNS, 'where').type

test('an expression becomes plain JSON', () => {
  expect(ast("length(text) >= 64 and lang in ('en', 'zh')")).toEqual({
    kind: 'and',
    operands: [
      {
        kind: 'compare',
        op: '>=',
        left: { kind: 'call', function: 'length', arguments: [{ kind: 'column', name: 'text', type: 'string' }] },
        right: { kind: 'literal', type: 'int64', value: 64 },
      },
      {
        kind: 'in',
        operand: { kind: 'column', name: 'lang', type: 'string' },
        values: [
          { kind: 'literal', type: 'string', value: 'en' },
          { kind: 'literal', type: 'string', value: 'zh' },
        ],
        negated: false,
      },
    ],
  })
})

test.each([
  ['1 + 2 * 3', '1 + 2 * 3'],
  ['(1 + 2) * 3', '(1 + 2) * 3'],
  ['1 - (2 - 3)', '1 - (2 - 3)'],
  ['((n))', 'n'],
  ['NOT good AND n IS NOT NULL', 'not good and n is not null'],
  ['not (good and good)', 'not (good and good)'],
  ['good and (good and good)', 'good and good and good'],
  ["lang <> 'it''s' or lang == 'x'", "lang != 'it''s' or lang = 'x'"],
  ['n not between -1 and 2 and good', 'n not between -1 and 2 and good'],
  ['- -5', '5'],
  ['-(n)', '-n'],
  ['--n', '-(-n)'],
  ['-9223372036854775808', '-9223372036854775808'],
  ['9223372036854775808', '9223372036854776000.0'],
  ['1e3', '1000.0'],
  ['.5', '0.5'],
  ['MIN(n, 2)', 'least(n, 2)'],
  ['"odd name" like \'a%\'', '"odd name" like \'a%\''],
  ['"and" is null', '"and" is null'],
  ["file = 'a' and position > 3 and id != 'b'", "__file = 'a' and __position > 3 and id != 'b'"],
  ['(n is null) is null', '(n is null) is null'],
])('%s reads as %s', (source, printed) => {
  const read = ast(source)
  expect(printExpression(read)).toBe(printed)
  expect(ast(printed)).toEqual(read)
})

test.each([
  ['length(text)', 'int64'],
  ['length(tokens)', 'int64'],
  ['n / 2', 'float64'],
  ['n % 2', 'int64'],
  ['n + score', 'float64'],
  ['coalesce(null, n, 1.5)', 'float64'],
  ['least(lang, text)', 'string'],
  ['round(score, 2)', 'float64'],
  ["json_value(meta, 'a.b[0]')", 'string'],
  ["number(json_value(meta, 'score'))", 'float64'],
  ['null', 'null'],
  ['null + 1', 'int64'],
  ['date is null', 'boolean'],
])('%s is %s', (source, type) => expect(typeOf(source)).toBe(type))

test('an unknown column is underlined and the nearest one named', () => {
  expect(problem("length(text) > 3 and lagn = 'en'")).toBe(
    [
      "steps[1].filter: unknown column 'lagn'",
      "  length(text) > 3 and lagn = 'en'",
      '                       ^^^^',
      "did you mean 'lang'?",
      'the columns are text, lang, score, n, good, meta, tokens, date, odd name, and, id, file, position',
    ].join('\n'),
  )
})

test('the caret stands under the right line and after wide characters', () => {
  expect(problem("text = '漢字' and\n  lang = '漢字' and nn = 1").split('\n').slice(1, 3)).toEqual([
    "    lang = '漢字' and nn = 1",
    '                      ^^',
  ])
})

test.each([
  ['', 'the expression is empty'],
  ['length(text) >=', 'the expression ends where a column, a value or a function was expected'],
  ['lang = "en"', "a text is written in single quotes: 'en'"],
  ["lang = 'en", "the quote ' is never closed"],
  ['good && good', "write 'and'"],
  ['meta.lang', "json_value(column, 'field')"],
  ['lenght(text) > 1', "did you mean 'length'?"],
  ['length(text, 1) > 1', 'length takes 1 argument(s), got 2'],
  ['n > lang', 'cannot compare int64 with string'],
  ["score > '0.5'", "number('0.5') reads a text as a number"],
  ['1 < n < 3', 'comparisons do not chain'],
  ['lang in ()', "'in' needs at least one value"],
  ['n in (n)', "the values of 'in' must be literals"],
  ['text like lang', "the pattern of 'like' must be a text"],
  ["matches(text, '(')", 'the regular expression cannot be read: unclosed group'],
  ['meta = 1', "json_value(meta, 'field')"],
  ['tokens = 1', 'length(tokens)'],
  ['date = 1', "only 'is null' can be asked of it"],
  ["json_value(meta, 'a..b')", 'this is no path into JSON'],
  ['not n', "'not' takes a boolean, this is int64"],
  ['n n', "expected an operator or the end, found 'n'"],
  ['12abc', "'12abc' is no number"],
  ['1e999', 'this number is too large'],
  ['lang in', "'(' was expected"],
  ['in = 1', 'a column of that name is written "in"'],
  ['constructor > 1', "unknown column 'constructor'"],
  ['constructor(text)', "unknown function 'constructor'"],
  [`${'('.repeat(200)}n${')'.repeat(200)}`, 'nested deeper than 60 levels'],
  [Array(100).fill('n').join(' + '), 'nested deeper than 60 levels'],
])('%s is refused: %s', (source, message) => expect(problem(source)).toContain(message))

test('a long chain of or is flat', () => {
  const source = Array.from({ length: 1000 }, (_, i) => `n = ${i}`).join(' or ')
  expect(ast(source)).toMatchObject({ kind: 'or', operands: { length: 1000 } })
})

test('a condition must be true or false', () => {
  expect(() => parseCondition(' length(text) ', COLUMNS, 'where')).toThrow(
    'where: this gives int64, a condition must be true or false',
  )
  expect(parseCondition('good', COLUMNS, 'where').type).toBe('boolean')
})

test('a column of the data hides the identity of that name', () => {
  const columns: Columns = [{ name: 'file', type: 'int64' }]
  expect(parseExpression('file = 1', columns, '').ast).toMatchObject({ left: { name: 'file', type: 'int64' } })
  expect(parseExpression("__file = 'a'", columns, '').ast).toMatchObject({ left: { name: '__file' } })
})

test('a comparison with a number gives its measure and threshold', () => {
  expect(simpleThreshold(ast('length(text) >= 64'))).toMatchObject({ op: '>=', threshold: 64 })
  expect(simpleThreshold(ast('-0.5 < score'))).toMatchObject({ op: '>', threshold: -0.5, measure: { name: 'score' } })
  for (const other of ["lang = 'en'", 'n > score', '1 < 2', 'good and n > 1', 'n between 1 and 2']) {
    expect(simpleThreshold(ast(other))).toBeUndefined()
  }
})

test('an expression tells what it reads and what must hold', () => {
  const read = ast("n > 1 and contains(text, lang) and file = 'a' and n < 3")
  expect(columnsRead(read)).toEqual(['n', 'text', 'lang', '__file'])
  expect(conjuncts(read)).toHaveLength(4)
  expect(conjuncts(ast('n > 1 or n < 0'))).toHaveLength(1)
})
