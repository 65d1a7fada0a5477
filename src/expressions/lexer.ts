/**
 * Cuts an expression into tokens.
 */
import { type Origin, type Span, expressionError } from './syntax.js'

export type Token = { readonly at: Span } & (
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'integer'; readonly value: bigint }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'name'; readonly value: string; readonly quoted: boolean }
  | { readonly kind: 'keyword'; readonly value: Keyword }
  | { readonly kind: 'symbol'; readonly value: string }
  | { readonly kind: 'end' }
)

const KEYWORDS = ['and', 'or', 'not', 'in', 'is', 'null', 'between', 'like', 'true', 'false'] as const
export type Keyword = (typeof KEYWORDS)[number]

/** Whether a plain name would be read as a keyword, so that a column of that name must be quoted. */
export function isKeyword(word: string): word is Keyword {
  return (KEYWORDS as readonly string[]).includes(word.toLowerCase())
}

/** A column name that needs no quotes. */
export const PLAIN_NAME = /^[\p{L}_][\p{L}\p{M}\p{N}_]*$/u

const SPACE = /\s+/uy
const NAME = /[\p{L}_][\p{L}\p{M}\p{N}_]*/uy
const NUMBER = /(?:\d+(\.\d*)?|(\.\d+))([eE][+-]?\d+)?/y
const TEXT = /'(?:[^']|'')*'/y
const QUOTED = /"(?:[^"]|"")*"/y
const SYMBOL = /<=|>=|<>|!=|==|[=<>+\-*/%(),]/y

/** Spellings of other languages, each with ours. */
const FOREIGN: Readonly<Record<string, string>> = {
  '&&': "write 'and'",
  '||': "write 'or'; to join texts use concat(a, b)",
  '!': "write 'not', or != for 'differs from'",
  '.': "a name with a dot is written in double quotes; a field of a JSON column is json_value(column, 'field')",
  '`': 'quote a column name with double quotes',
  ';': 'an expression is one condition, without a semicolon',
}

export function tokens(origin: Origin): Token[] {
  const { source } = origin
  const found: Token[] = []
  let from = 0
  const take = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = from
    return pattern.exec(source)
  }
  for (;;) {
    from += take(SPACE)?.[0].length ?? 0
    if (from >= source.length) break
    const token = next(origin, from, take)
    found.push(token)
    from = token.at.to
  }
  found.push({ kind: 'end', at: { from: source.length, to: source.length } })
  return found
}

function next(origin: Origin, from: number, take: (pattern: RegExp) => RegExpExecArray | null): Token {
  const span = (match: RegExpExecArray): Span => ({ from, to: from + match[0].length })
  const name = take(NAME)
  if (name) {
    const word = name[0].toLowerCase()
    if (isKeyword(word)) return { kind: 'keyword', value: word, at: span(name) }
    return { kind: 'name', value: name[0], quoted: false, at: span(name) }
  }
  const number = take(NUMBER)
  if (number) return numberToken(origin, number, span(number))
  const text = take(TEXT)
  if (text) return { kind: 'text', value: text[0].slice(1, -1).replaceAll("''", "'"), at: span(text) }
  const quoted = take(QUOTED)
  if (quoted) {
    return { kind: 'name', value: quoted[0].slice(1, -1).replaceAll('""', '"'), quoted: true, at: span(quoted) }
  }
  const symbol = take(SYMBOL)
  if (symbol) return { kind: 'symbol', value: canonical(symbol[0]), at: span(symbol) }
  return unreadable(origin, from)
}

function canonical(symbol: string): string {
  if (symbol === '==') return '='
  return symbol === '<>' ? '!=' : symbol
}

function numberToken(origin: Origin, match: RegExpExecArray, at: Span): Token {
  const [digits, fraction, bareFraction, exponent] = match
  const after = origin.source.slice(at.to)
  if (/^[\p{L}_]/u.test(after)) {
    const unit = /^[\p{L}\p{N}_]+/u.exec(after)?.[0] ?? ''
    throw expressionError(origin, { from: at.from, to: at.to + unit.length }, `'${digits}${unit}' is no number`)
  }
  if (fraction === undefined && bareFraction === undefined && exponent === undefined) {
    return { kind: 'integer', value: BigInt(digits), at }
  }
  const value = Number(digits)
  if (!Number.isFinite(value)) throw expressionError(origin, at, 'this number is too large')
  return { kind: 'float', value, at }
}

function unreadable(origin: Origin, from: number): never {
  const { source } = origin
  const character = String.fromCodePoint(source.codePointAt(from) ?? 0)
  if (character === "'" || character === '"') {
    const advice =
      character === "'"
        ? "a quote inside a text is written twice: 'it''s'"
        : 'double quotes enclose a column name, single quotes a text'
    throw expressionError(origin, { from, to: source.length }, `the quote ${character} is never closed`, advice)
  }
  const two = source.slice(from, from + 2)
  const foreign = two in FOREIGN ? two : character
  throw expressionError(
    origin,
    { from, to: from + foreign.length },
    `unexpected '${foreign}'`,
    Object.hasOwn(FOREIGN, foreign) ? FOREIGN[foreign] : undefined,
  )
}
