/**
 * Expressions as written: untyped, every node with its place in the source.
 */
import { GristmillError } from '../core/errors.js'

/** Code units [from, to) of the source. */
export interface Span {
  readonly from: number
  readonly to: number
}

export type Syntax = SyntaxNode & { readonly at: Span }

type SyntaxNode =
  | { readonly kind: 'text'; readonly value: string }
  | { readonly kind: 'integer'; readonly value: bigint }
  | { readonly kind: 'float'; readonly value: number }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'null' }
  | { readonly kind: 'name'; readonly name: string; readonly quoted: boolean }
  | { readonly kind: 'call'; readonly name: string; readonly nameAt: Span; readonly arguments: readonly Syntax[] }
  | { readonly kind: 'unary'; readonly op: 'not' | '-'; readonly operand: Syntax }
  | { readonly kind: 'binary'; readonly op: BinaryOperator; readonly left: Syntax; readonly right: Syntax }
  | { readonly kind: 'in'; readonly operand: Syntax; readonly values: readonly Syntax[]; readonly negated: boolean }
  | {
      readonly kind: 'between'
      readonly operand: Syntax
      readonly low: Syntax
      readonly high: Syntax
      readonly negated: boolean
    }
  | { readonly kind: 'like'; readonly operand: Syntax; readonly pattern: Syntax; readonly negated: boolean }
  | { readonly kind: 'is-null'; readonly operand: Syntax; readonly negated: boolean }

export type BinaryOperator = 'and' | 'or' | '=' | '!=' | '<' | '<=' | '>' | '>=' | '+' | '-' | '*' | '/' | '%'

/** Where an expression stands: its source and its place in the pipeline, for messages. */
export interface Origin {
  readonly source: string
  /** As in `steps[1].filter`. */
  readonly place: string
}

/** Code units of a line shown before and after the error's start, so that a long expression stays readable. */
const SHOWN_BEFORE = 60
const SHOWN_AFTER = 100

/** An error that shows the expression with the span underlined. */
export function expressionError(origin: Origin, at: Span, problem: string, advice?: string): GristmillError {
  const { source, place } = origin
  const lineStart = source.lastIndexOf('\n', at.from - 1) + 1
  const feed = source.indexOf('\n', at.from)
  const lineEnd = feed === -1 ? source.length : feed
  const start = Math.max(lineStart, at.from - SHOWN_BEFORE)
  const end = Math.min(lineEnd, at.from + SHOWN_AFTER)
  const before = `${start > lineStart ? '…' : ''}${source.slice(start, at.from)}`
  const after = `${source.slice(at.from, end)}${end < lineEnd ? '…' : ''}`
  const carets = '^'.repeat(Math.max(1, width(source.slice(at.from, Math.min(at.to, end)))))
  const lines = [
    `${place}: ${problem}`,
    `  ${`${before}${after}`.replaceAll('\t', ' ')}`,
    `  ${' '.repeat(width(before))}${carets}`,
  ]
  if (advice !== undefined) lines.push(advice)
  return new GristmillError('GM_EXPRESSION', lines.join('\n'))
}

const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u{1F300}-\u{1FAFF}\u3000-\u303F\uFF01-\uFF60]/u

/** Columns a terminal needs for a text, so that the caret stands under what it means. */
function width(text: string): number {
  let columns = 0
  for (const character of text) columns += WIDE.test(character) ? 2 : 1
  return columns
}
