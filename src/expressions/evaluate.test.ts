import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { askOracle } from '../../test/oracle.js'
import { type Columns, liveBatchBytes } from '../kernels/batch.js'
import { batchFromRows } from '../kernels/columns.js'
import { Expression } from '../kernels/expression.js'
import { RowReader } from '../kernels/rows.js'
import { parseExpression, printExpression } from './index.js'

const COLUMNS: Columns = [
  { name: 'text', type: 'string' },
  { name: 'lang', type: 'string' },
  { name: 'score', type: 'float64' },
  { name: 'n', type: 'int64' },
  { name: 'm', type: 'int64' },
  { name: 'good', type: 'boolean' },
  { name: 'meta', type: 'json' },
  { name: 'tokens', type: 'tokens' },
]

/** The values of an expression over rows. */
function evaluate(source: string, rows: Record<string, unknown>[]): unknown[] {
  const { ast, type } = parseExpression(source, COLUMNS, 'test')
  if (type === 'null') throw new Error(`${source} has no type`)
  using batch = batchFromRows(rows, COLUMNS)
  new Expression(ast).setColumn(batch, 'result', type)
  using reader = new RowReader(batch, [{ name: 'result', type }])
  return rows.map((_, row) => reader.value(row, 'result'))
}

const one = (source: string, row: Record<string, unknown> = {}): unknown => evaluate(source, [row])[0]

test.each<[string, Record<string, unknown>, unknown]>([
  ['length(text)', { text: 'aé漢😀' }, 4],
  ['bytes(text)', { text: 'aé漢😀' }, 10],
  ['length(text)', { text: 'x'.repeat(1000) }, 1000],
  ['length(tokens)', { tokens: Uint32Array.of(1, 2, 3) }, 3],
  ['words(text)', { text: ' a\tb\u3000c\u0085d ' }, 4],
  ['lines(text)', { text: 'a\n\nb' }, 3],
  ['lines(text)', { text: 'a\n' }, 1],
  ['lines(text)', { text: '' }, 0],
  ['upper(lang)', { lang: 'straße' }, 'STRASSE'],
  ["trim(concat(' ', lang, null, '\n'))", { lang: 'a' }, 'a'],
  ["replace(lang, '', 'x')", { lang: 'ab' }, 'ab'],
  ['n + m', { n: 9007199254740993n, m: 1 }, 9007199254740994n],
  ['n + 9223372036854775807', { n: 1 }, null],
  ['n * n', { n: 4294967296 }, null],
  ['-n', { n: -9223372036854775808n }, null],
  ['abs(n)', { n: -9223372036854775808n }, null],
  ['n % -1', { n: -9223372036854775808n }, 0],
  ['n / 0', { n: 1 }, null],
  ['n % 0', { n: 1 }, null],
  ['score / 0', { score: 1.5 }, null],
  ['n / 2', { n: 1 }, 0.5],
  ['n > 9007199254740992', { n: 9007199254740993n }, true],
  ['n = -9223372036854775808', { n: -9223372036854775808n }, true],
  ['score = score', { score: Number.NaN }, true],
  ['score > 1e308', { score: Number.NaN }, true],
  ['score = 0', { score: -0 }, true],
  ['round(score)', { score: -2.5 }, -3],
  ['round(score, 2)', { score: 1.005 }, 1],
  ['round(n, -2)', { n: -150 }, -200],
  ['round(n, -2)', { n: 149 }, 100],
  ['round(n, -1)', { n: 9223372036854775806n }, null],
  ['number(lang)', { lang: ' 1e3 ' }, 1000],
  ['number(lang)', { lang: 'inf' }, null],
  ['number(good)', { good: true }, 1],
  ['string(score)', { score: 0.1 }, '0.1'],
  ['string(good)', { good: null }, null],
  ["json_value(meta, 'a.b[1]')", { meta: { a: { b: [1, 'x"y'] } } }, 'x"y'],
  ["json_value(meta, 'a')", { meta: { a: [1, null] } }, '[1,null]'],
  ["json_value(meta, 'a')", { meta: { a: null } }, null],
  ["json_value(meta, 'b')", { meta: { a: 1 } }, null],
  ["json_value(text, 'a')", { text: 'no json' }, null],
  ["text like '%a_c%'", { text: 'x\na漢c' }, true],
  ["text like 'a.c'", { text: 'abc' }, false],
  ["text like '%'", { text: '' }, true],
  ["matches(text, '^b$')", { text: 'a\nb' }, false],
  ["matches(text, '(?m)^b$')", { text: 'a\nb' }, true],
  ['n in (1, null)', { n: 2 }, null],
  ['n in (1, null)', { n: 1 }, true],
  ['n not in (1, null)', { n: 2 }, null],
  ['n in (1.0, 2.5)', { n: 1 }, true],
  ["id = 'rows.jsonl:0' and file = 'rows.jsonl' and position = 0", {}, true],
  ["id = 'mine'", { id: 'mine' }, true],
])('%s of %o', (source, row, expected) => expect(one(source, row)).toEqual(expected))

test('a batch without rows gives a column without rows', () => {
  expect(evaluate('n + 1 > score or good', [])).toEqual([])
})

describe('random expressions', () => {
  const name = fc.constantFrom
  const text = fc.string({ unit: name('a', 'b', 'é', '漢', '😀', ' ', '\n', '%', '_', "'", '.'), maxLength: 6 })
  const whole = fc.integer({ min: -20, max: 20 })
  const float = fc.integer({ min: -40, max: 40 }).map((n) => n / 4)
  const quote = (value: string) => `'${value.replaceAll("'", "''")}'`
  const decimal = (value: number) => (Number.isInteger(value) ? `${value}.0` : String(value))

  const grammar = fc.letrec<{ text: string; int: string; float: string; number: string; bool: string }>((tie) => ({
    text: fc.oneof(
      { depthSize: 'small', withCrossShrink: true },
      name('text', 'lang'),
      text.map(quote),
      fc.tuple(name('lower', 'upper'), tie('text')).map(([f, a]) => `${f}(${a})`),
      fc
        .tuple(name('concat', 'coalesce', 'least', 'greatest'), tie('text'), tie('text'))
        .map(([f, a, b]) => `${f}(${a}, ${b})`),
      fc.tuple(tie('text'), text, text).map(([a, from, to]) => `replace(${a}, ${quote(from || 'a')}, ${quote(to)})`),
      fc.constantFrom("json_value(meta, 'a')", "json_value(meta, 'b.c')", 'string(n)'),
    ),
    int: fc.oneof(
      { depthSize: 'small' },
      name('n', 'm'),
      whole.map(String),
      fc.tuple(name('length', 'bytes', 'words', 'lines'), tie('text')).map(([f, a]) => `${f}(${a})`),
      fc.tuple(name('+', '-', '%'), tie('int'), tie('int')).map(([op, a, b]) => `(${a} ${op} ${b})`),
      fc.tuple(name('abs', '-'), tie('int')).map(([f, a]) => `${f}(${a})`),
      fc.tuple(name('coalesce', 'least', 'greatest'), tie('int'), tie('int')).map(([f, a, b]) => `${f}(${a}, ${b})`),
    ),
    float: fc.oneof(
      { depthSize: 'small' },
      fc.constant('score'),
      float.map(decimal),
      fc.tuple(tie('number'), tie('int')).map(([a, b]) => `(${a} / ${b})`),
      fc.tuple(name('+', '-', '*'), tie('float'), tie('number')).map(([op, a, b]) => `(${a} ${op} ${b})`),
      fc.tuple(name('floor', 'ceil', 'round', 'abs'), tie('float')).map(([f, a]) => `${f}(${a})`),
      fc.constant("number(json_value(meta, 'a'))"),
    ),
    number: fc.oneof(tie('int'), tie('float')),
    bool: fc.oneof(
      { depthSize: 'small' },
      fc.constant('good'),
      name('true', 'false'),
      fc.tuple(tie('number'), name('=', '!=', '<', '<=', '>', '>='), tie('number')).map((parts) => parts.join(' ')),
      fc.tuple(tie('text'), name('=', '!=', '<', '<=', '>', '>='), tie('text')).map((parts) => parts.join(' ')),
      fc.tuple(tie('bool'), name('and', 'or'), tie('bool')).map(([a, op, b]) => `(${a}) ${op} (${b})`),
      tie('bool').map((a) => `not (${a})`),
      fc.tuple(fc.oneof(tie('text'), tie('number')), name('is null', 'is not null')).map((parts) => parts.join(' ')),
      fc
        .tuple(
          tie('int'),
          name('in', 'not in'),
          fc.array(fc.option(whole, { nil: null }), { minLength: 1, maxLength: 4 }),
        )
        .map(([a, op, list]) => `${a} ${op} (${list.join(', ').replace(/^(?=,|$)|(?<=, )(?=,|$)/g, 'null')})`),
      fc
        .tuple(tie('text'), name('in', 'not in'), fc.array(text.map(quote), { minLength: 1, maxLength: 4 }))
        .map(([a, op, list]) => `${a} ${op} (${list.join(', ')})`),
      fc
        .tuple(tie('number'), name('between', 'not between'), tie('number'), tie('number'))
        .map(([a, op, low, high]) => `${a} ${op} ${low} and ${high}`),
      fc.tuple(tie('text'), name('like', 'not like'), text).map(([a, op, pattern]) => `${a} ${op} ${quote(pattern)}`),
      fc
        .tuple(name('contains', 'starts_with', 'ends_with'), tie('text'), tie('text'))
        .map(([f, a, b]) => `${f}(${a}, ${b})`),
      tie('text').map((a) => `matches(${a}, '[ab]+|漢$')`),
    ),
  }))
  const expression = fc.oneof(grammar.bool, grammar.bool, grammar.number, grammar.text)

  const row = fc.record({
    text: fc.option(text),
    lang: fc.option(text),
    score: fc.option(float),
    n: fc.option(whole),
    m: fc.option(whole),
    good: fc.option(fc.boolean()),
    meta: fc.option(
      fc.record({ a: fc.option(fc.oneof(whole, fc.constantFrom('x', '1.5'))), b: fc.record({ c: fc.option(whole) }) }),
    ),
  })

  test('what is printed reads as the same expression', () =>
    fc.assert(
      fc.property(expression, (source) => {
        const { ast, type } = parseExpression(source, COLUMNS, 'test')
        expect(parseExpression(printExpression(ast), COLUMNS, 'test')).toEqual({ ast, type })
      }),
      { numRuns: 2000 },
    ))

  test('evaluation agrees with DuckDB', () => {
    const rows = fc.sample(row, { numRuns: 40, seed: 7 })
    const sources = fc.sample(expression, { numRuns: 2000, seed: 11 })
    const printed = sources.map((source) => printExpression(parseExpression(source, COLUMNS, 'test').ast))
    const answers = askOracle<(unknown[] | { error: string })[]>('expressions.py', {
      columns: {
        text: 'varchar',
        lang: 'varchar',
        score: 'double',
        n: 'bigint',
        m: 'bigint',
        good: 'boolean',
        meta: 'json',
      },
      rows: rows.map(({ text: t, lang, score, n, m, good, meta }) => [
        t,
        lang,
        score,
        n,
        m,
        good,
        meta && JSON.stringify(meta),
      ]),
      expressions: printed,
    })
    const wrong: unknown[] = []
    answers.forEach((answer, index) => {
      const source = printed[index] as string
      const got = evaluate(source, rows)
      const expected = Array.isArray(answer) ? answer : [answer.error]
      const differs = expected.findIndex((value, at) => !same(value, got[at]))
      if (differs >= 0) wrong.push({ source, row: rows[differs], expected: expected[differs], got: got[differs] })
    })
    expect(wrong.slice(0, 5)).toEqual([])
  }, 60_000)

  test('no batch is left behind', () => expect(liveBatchBytes()).toBe(0))
})

/** Equal, but for the last bits of a division. */
function same(expected: unknown, got: unknown): boolean {
  if (typeof expected !== 'number' || typeof got !== 'number') return expected === got
  return Math.abs(expected - got) <= 1e-12 * Math.abs(expected)
}
