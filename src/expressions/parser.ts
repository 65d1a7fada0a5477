/**
 * Reads tokens into a syntax tree: a Pratt parser, one binding power a level.
 *
 * From loose to tight: or; and; not; comparisons, `in`, `is null`, `between`, `like`; + -; * / %; unary minus.
 * Comparisons do not chain: `a < b < c` is refused.
 */
import { type Token, tokens } from './lexer.js'
import { AND, COMPARE, MINUS, NOT, OR, PRODUCT, SUM } from './precedence.js'
import { type BinaryOperator, type Origin, type Span, type Syntax, expressionError } from './syntax.js'

/** Levels of nesting that are accepted; the evaluator's JSON reader stops at 128, two a level. */
const MAX_DEPTH = 60

const BINARY: Readonly<Record<string, number>> = {
  or: OR,
  and: AND,
  '=': COMPARE,
  '!=': COMPARE,
  '<': COMPARE,
  '<=': COMPARE,
  '>': COMPARE,
  '>=': COMPARE,
  '+': SUM,
  '-': SUM,
  '*': PRODUCT,
  '/': PRODUCT,
  '%': PRODUCT,
}

/** Keywords that start what follows an operand: `in (…)`, `is null`, `between … and …`, `like '…'`. */
const SUFFIXES: ReadonlySet<string> = new Set(['in', 'is', 'between', 'like', 'not'])

export function parse(origin: Origin): Syntax {
  const parser = new Parser(origin)
  return parser.whole()
}

class Parser {
  readonly #origin: Origin
  readonly #tokens: readonly Token[]
  #at = 0
  #depth = 0

  constructor(origin: Origin) {
    this.#origin = origin
    this.#tokens = tokens(origin)
  }

  whole(): Syntax {
    if (this.#peek().kind === 'end') throw this.#error(this.#peek().at, 'the expression is empty')
    const syntax = this.#expression(0)
    const rest = this.#peek()
    if (rest.kind !== 'end') throw this.#unexpected(rest, 'an operator or the end')
    return syntax
  }

  #expression(minimum: number): Syntax {
    this.#depth++
    if (this.#depth > MAX_DEPTH) throw this.#error(this.#peek().at, `nested deeper than ${MAX_DEPTH} levels`)
    let left = this.#prefix()
    for (;;) {
      const token = this.#peek()
      const power = powerOf(token)
      if (power === undefined || power < minimum) break
      left = this.#extend(left, token, power)
      const following = this.#peek()
      if (power === COMPARE && powerOf(following) === COMPARE) {
        throw this.#error(following.at, 'comparisons do not chain', "join them: a < b and b < c, or use 'between'")
      }
    }
    this.#depth--
    return left
  }

  #extend(left: Syntax, token: Token, power: number): Syntax {
    if (token.kind === 'keyword' && SUFFIXES.has(token.value)) return this.#suffix(left)
    this.#at++
    const op = (token as { value: string }).value as BinaryOperator
    const right = this.#expression(power + 1)
    return { kind: 'binary', op, left, right, at: join(left.at, right.at) }
  }

  #suffix(operand: Syntax): Syntax {
    const start = this.#peek()
    if (this.#accept('is')) {
      const negated = this.#accept('not')
      const end = this.#expect('null')
      return { kind: 'is-null', operand, negated, at: join(operand.at, end.at) }
    }
    const negated = this.#accept('not')
    if (this.#accept('in')) {
      this.#expect('(')
      const [values, end] = this.#list()
      if (values.length === 0) throw this.#error(end.at, "'in' needs at least one value")
      return { kind: 'in', operand, values, negated, at: join(operand.at, end.at) }
    }
    if (this.#accept('between')) {
      const low = this.#expression(SUM)
      this.#expect('and')
      const high = this.#expression(SUM)
      return { kind: 'between', operand, low, high, negated, at: join(operand.at, high.at) }
    }
    if (this.#accept('like')) {
      const pattern = this.#expression(SUM)
      return { kind: 'like', operand, pattern, negated, at: join(operand.at, pattern.at) }
    }
    throw this.#unexpected(negated ? this.#peek() : start, "'in', 'between' or 'like'")
  }

  #prefix(): Syntax {
    const token = this.#peek()
    this.#at++
    switch (token.kind) {
      case 'text':
      case 'integer':
      case 'float':
        return token
      case 'name':
        if (!token.quoted && this.#accept('(')) return this.#call(token.value, token.at)
        return { kind: 'name', name: token.value, quoted: token.quoted, at: token.at }
      case 'keyword':
        return this.#prefixKeyword(token)
      case 'symbol':
        if (token.value === '-') return this.#unary('-', MINUS, token.at)
        if (token.value === '(') {
          const inner = this.#expression(0)
          const end = this.#expect(')')
          return { ...inner, at: join(token.at, end.at) }
        }
        break
      case 'end':
    }
    this.#at--
    throw this.#unexpected(token, 'a column, a value or a function')
  }

  #prefixKeyword(token: Token & { kind: 'keyword' }): Syntax {
    switch (token.value) {
      case 'true':
      case 'false':
        return { kind: 'boolean', value: token.value === 'true', at: token.at }
      case 'null':
        return { kind: 'null', at: token.at }
      case 'not':
        return this.#unary('not', NOT, token.at)
      default:
        this.#at--
        throw this.#unexpected(token, 'a column, a value or a function')
    }
  }

  #unary(op: 'not' | '-', power: number, at: Span): Syntax {
    const operand = this.#expression(power)
    return { kind: 'unary', op, operand, at: join(at, operand.at) }
  }

  #call(name: string, nameAt: Span): Syntax {
    const [values, end] = this.#list()
    return { kind: 'call', name, nameAt, arguments: values, at: join(nameAt, end.at) }
  }

  /** Items up to the closing parenthesis, whose opening was read. */
  #list(): [items: Syntax[], end: Token] {
    const items: Syntax[] = []
    const first = this.#peek()
    if (this.#accept(')')) return [items, first]
    for (;;) {
      items.push(this.#expression(0))
      const token = this.#peek()
      if (this.#accept(')')) return [items, token]
      if (!this.#accept(',')) throw this.#unexpected(token, "',' or ')'")
    }
  }

  #peek(): Token {
    return this.#tokens[this.#at] as Token
  }

  #accept(word: string): boolean {
    const token = this.#peek()
    const fits = (token.kind === 'keyword' || token.kind === 'symbol') && token.value === word
    if (fits) this.#at++
    return fits
  }

  #expect(word: string): Token {
    const token = this.#peek()
    if (!this.#accept(word)) throw this.#unexpected(token, `'${word}'`)
    return token
  }

  #unexpected(token: Token, wanted: string): Error {
    if (token.kind === 'end') return this.#error(token.at, `the expression ends where ${wanted} was expected`)
    const { from, to } = token.at
    const advice =
      token.kind === 'keyword'
        ? `'${token.value}' is a keyword; a column of that name is written "${token.value}"`
        : undefined
    return this.#error(token.at, `expected ${wanted}, found '${this.#origin.source.slice(from, to)}'`, advice)
  }

  #error(at: Span, problem: string, advice?: string): Error {
    return expressionError(this.#origin, at, problem, advice)
  }
}

function powerOf(token: Token): number | undefined {
  if (token.kind === 'keyword' && SUFFIXES.has(token.value)) return COMPARE
  if (token.kind === 'keyword' || token.kind === 'symbol') {
    return Object.hasOwn(BINARY, token.value) ? BINARY[token.value] : undefined
  }
  return undefined
}

function join(from: Span, to: Span): Span {
  return { from: from.from, to: to.to }
}
