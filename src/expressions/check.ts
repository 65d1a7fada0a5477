/**
 * Resolves names and types: syntax in, typed AST out.
 */
import { nearest } from '../core/errors.js'
import type { Columns } from '../kernels/batch.js'
import { regexProblem } from '../kernels/expression.js'
import type { Ast, ColumnAst, ColumnReadType, ExpressionType, LiteralAst } from './ast.js'
import { ALIASES, FUNCTIONS, type FunctionSignature, type Parameter, findFunction, isLiteralFor } from './functions.js'
import { type BinaryOperator, type Origin, type Span, type Syntax, expressionError } from './syntax.js'

/** The type of any node; columns can also be of types that only a few functions read. */
type NodeType = ExpressionType | ColumnReadType

interface Checked {
  readonly ast: Ast
  readonly type: NodeType
  readonly at: Span
}

const INT64_MIN = -(2n ** 63n)
const INT64_MAX = 2n ** 63n - 1n

/** Levels of the AST; operators chained without parentheses nest to the left. */
const MAX_DEPTH = 60

const JSON_PATH = /^(?:[^.[\]]+|\[\d+\])(?:\.[^.[\]]+|\[\d+\])*$/u

export class Checker {
  readonly #origin: Origin
  readonly #columns: ReadonlyMap<string, ColumnAst>

  constructor(origin: Origin, columns: Columns) {
    this.#origin = origin
    this.#columns = readable(columns)
  }

  /** Types a whole expression. */
  whole(syntax: Syntax): { ast: Ast; type: ExpressionType } {
    const checked = this.#scalar(this.#check(syntax, 1))
    return { ast: checked.ast, type: checked.type as ExpressionType }
  }

  #check(syntax: Syntax, depth: number): Checked {
    const { at } = syntax
    if (depth > MAX_DEPTH) throw this.#error(at, `nested deeper than ${MAX_DEPTH} levels`)
    const below = (inner: Syntax): Checked => this.#check(inner, depth + 1)
    switch (syntax.kind) {
      case 'text':
        return { ast: { kind: 'literal', type: 'string', value: syntax.value }, type: 'string', at }
      case 'boolean':
        return { ast: { kind: 'literal', type: 'boolean', value: syntax.value }, type: 'boolean', at }
      case 'null':
        return { ast: { kind: 'literal', type: 'null', value: null }, type: 'null', at }
      case 'integer':
        return this.#integer(syntax.value, at)
      case 'float':
        return { ast: { kind: 'literal', type: 'float64', value: syntax.value }, type: 'float64', at }
      case 'name':
        return this.#name(syntax)
      case 'call':
        return this.#call(syntax, syntax.arguments.map(below))
      case 'unary':
        return syntax.op === 'not' ? this.#not(below(syntax.operand), at) : this.#negate(syntax, below)
      case 'binary':
        if (syntax.op === 'and' || syntax.op === 'or') return this.#logic(syntax, syntax.op, below)
        return this.#binary(syntax.op, below(syntax.left), below(syntax.right), at)
      case 'in':
        return this.#in(below(syntax.operand), syntax.values.map(below), syntax.negated, at)
      case 'between': {
        const [operand, low, high] = [below(syntax.operand), below(syntax.low), below(syntax.high)]
        this.#comparable(operand, low)
        this.#comparable(operand, high)
        const ast: Ast = {
          kind: 'between',
          operand: operand.ast,
          low: low.ast,
          high: high.ast,
          negated: syntax.negated,
        }
        return { ast, type: 'boolean', at }
      }
      case 'like': {
        const operand = this.#of('string', below(syntax.operand), "'like'")
        const pattern = below(syntax.pattern).ast
        if (pattern.kind !== 'literal' || pattern.type !== 'string') {
          throw this.#error(syntax.pattern.at, "the pattern of 'like' must be a text in single quotes")
        }
        const ast: Ast = { kind: 'like', operand: operand.ast, pattern: pattern.value, negated: syntax.negated }
        return { ast, type: 'boolean', at }
      }
      case 'is-null':
        return {
          ast: { kind: 'is-null', operand: below(syntax.operand).ast, negated: syntax.negated },
          type: 'boolean',
          at,
        }
    }
  }

  #integer(value: bigint, at: Span): Checked {
    if (value < INT64_MIN || value > INT64_MAX) {
      const float = Number(value)
      if (!Number.isFinite(float)) throw this.#error(at, 'this number is too large')
      return { ast: { kind: 'literal', type: 'float64', value: float }, type: 'float64', at }
    }
    const safe = Number.isSafeInteger(Number(value))
    return { ast: { kind: 'literal', type: 'int64', value: safe ? Number(value) : String(value) }, type: 'int64', at }
  }

  #name(syntax: Syntax & { kind: 'name' }): Checked {
    const { name, at } = syntax
    const column = this.#columns.get(name)
    if (column !== undefined) return { ast: column, type: column.type, at }
    const names = [...this.#columns.keys()].filter((known) => !known.startsWith('__'))
    const near = nearest(name, names)
    const advice = [
      near === undefined ? undefined : `did you mean '${near}'?`,
      syntax.quoted ? `a text is written in single quotes: '${name.replaceAll("'", "''")}'` : undefined,
      `the columns are ${names.join(', ')}`,
    ]
    throw this.#error(at, `unknown column '${name}'`, advice.filter((line) => line !== undefined).join('\n'))
  }

  #negate(syntax: Syntax & { kind: 'unary' }, below: (inner: Syntax) => Checked): Checked {
    const { operand: inner, at } = syntax
    if (inner.kind === 'integer') return this.#integer(-inner.value, at)
    const operand = this.#of('number', below(inner), "'-'")
    const { ast } = operand
    if (ast.kind === 'literal' && ast.type === 'int64') return this.#integer(-BigInt(ast.value), at)
    if (ast.kind === 'literal' && ast.type === 'float64') {
      return { ast: { ...ast, value: -ast.value }, type: 'float64', at }
    }
    return { ast: { kind: 'negate', operand: ast }, type: operand.type, at }
  }

  #not(operand: Checked, at: Span): Checked {
    const { ast } = this.#of('boolean', operand, "'not'")
    return { ast: { kind: 'not', operand: ast }, type: 'boolean', at }
  }

  /** A chain of `and` or `or`, which the parser nests to the left, as one flat node: generated chains are long. */
  #logic(syntax: Syntax & { kind: 'binary' }, op: 'and' | 'or', below: (inner: Syntax) => Checked): Checked {
    const chain: Syntax[] = []
    let rest: Syntax = syntax
    while (rest.kind === 'binary' && rest.op === op) {
      chain.push(rest.right)
      rest = rest.left
    }
    chain.push(rest)
    const operands = chain.reverse().flatMap((inner) => {
      const { ast } = this.#of('boolean', below(inner), `'${op}'`)
      return ast.kind === op ? ast.operands : [ast]
    })
    return { ast: { kind: op, operands }, type: 'boolean', at: syntax.at }
  }

  #binary(op: Exclude<BinaryOperator, 'and' | 'or'>, left: Checked, right: Checked, at: Span): Checked {
    switch (op) {
      case '+':
      case '-':
      case '*':
      case '/':
      case '%': {
        this.#of('number', left, `'${op}'`)
        this.#of('number', right, `'${op}'`)
        const type = op === '/' ? 'float64' : (common(left.type, right.type) ?? 'null')
        return { ast: { kind: 'arithmetic', op, left: left.ast, right: right.ast }, type, at }
      }
      default:
        this.#comparable(left, right)
        return { ast: { kind: 'compare', op, left: left.ast, right: right.ast }, type: 'boolean', at }
    }
  }

  #in(operand: Checked, values: Checked[], negated: boolean, at: Span): Checked {
    for (const value of values) {
      if (value.ast.kind !== 'literal') {
        throw this.#error(
          value.at,
          "the values of 'in' must be literals",
          "compare with '=' and join with 'or' instead",
        )
      }
      this.#comparable(operand, value)
    }
    this.#scalar(operand)
    const literals = values.map((value) => value.ast as LiteralAst)
    return { ast: { kind: 'in', operand: operand.ast, values: literals, negated }, type: 'boolean', at }
  }

  #call(syntax: Syntax & { kind: 'call' }, values: Checked[]): Checked {
    const { name, nameAt, at } = syntax
    const signature = findFunction(name)
    if (signature === undefined) {
      const near = nearest(name, [...FUNCTIONS.map((known) => known.name), ...Object.keys(ALIASES)])
      const known = FUNCTIONS.map((one) => one.name).join(', ')
      const advice = near === undefined ? `the functions are ${known}` : `did you mean '${near}'?`
      throw this.#error(nameAt, `unknown function '${name}'`, advice)
    }
    const parameters = this.#parameters(signature, values, at)
    values.forEach((value, index) => this.#argument(signature, parameters[index] as Parameter, value))
    const type = this.#result(signature, parameters, values)
    return { ast: { kind: 'call', function: signature.name, arguments: values.map((value) => value.ast) }, type, at }
  }

  /** The parameter of each argument, once their number fits. */
  #parameters(signature: FunctionSignature, values: Checked[], at: Span): Parameter[] {
    const { parameters, optional, variadic, usage } = signature
    const last = parameters.at(-1) as Parameter
    const all = optional === undefined ? [...parameters] : [...parameters, optional]
    while (variadic && all.length < values.length) all.push(last)
    if (values.length < parameters.length || values.length > all.length) {
      const wanted = variadic
        ? `at least ${parameters.length}`
        : [...new Set([parameters.length, all.length])].join(' or ')
      throw this.#error(at, `${signature.name} takes ${wanted} argument(s), got ${values.length}`, `usage: ${usage}`)
    }
    return all
  }

  #argument(signature: FunctionSignature, parameter: Parameter, value: Checked): void {
    const of = `'${signature.name}'`
    switch (parameter) {
      case 'text':
        this.#of('string', value, of)
        return
      case 'number':
        this.#of('number', value, of)
        return
      case 'scalar':
      case 'same':
        this.#scalar(value)
        return
      case 'comparable':
        if (value.type === 'boolean') throw this.#error(value.at, `${of} takes numbers or texts, this is boolean`)
        this.#scalar(value)
        return
      case 'textOrTokens':
        if (value.type !== 'tokens') this.#of('string', value, of)
        return
      case 'json':
        if (value.type !== 'json') this.#of('string', value, of)
        return
      default:
        this.#literal(signature, parameter, value)
    }
  }

  #literal(signature: FunctionSignature, parameter: Parameter, { ast, at }: Checked): void {
    if (!isLiteralFor(parameter, ast) || ast.kind !== 'literal') {
      const wanted = parameter === 'digits' ? 'a whole number' : 'a text in single quotes'
      throw this.#error(at, `this must be ${wanted}, not computed`, `usage: ${signature.usage}`)
    }
    if (parameter === 'digits' && Math.abs(Number(ast.value)) > 15) {
      throw this.#error(at, 'digits must lie between -15 and 15')
    }
    if (parameter === 'pattern') {
      const problem = regexProblem(String(ast.value))
      if (problem !== undefined) throw this.#error(at, `the regular expression cannot be read: ${problem}`)
    }
    if (parameter === 'path' && !JSON_PATH.test(String(ast.value))) {
      throw this.#error(at, 'this is no path into JSON', "as in 'a', 'a.b' or 'a.list[0].b'")
    }
  }

  #result(signature: FunctionSignature, parameters: Parameter[], values: Checked[]): NodeType {
    if (signature.result !== 'same') return signature.result
    let [first] = values as [Checked]
    for (const [index, value] of values.entries()) {
      if (parameters[index] === 'digits') continue
      const type = common(first.type, value.type)
      if (type === undefined) {
        throw this.#error(value.at, `${signature.name} needs one type: this is ${value.type}, before it ${first.type}`)
      }
      first = { ...first, type }
    }
    return first.type
  }

  #comparable(left: Checked, right: Checked): void {
    this.#scalar(left)
    this.#scalar(right)
    if (common(left.type, right.type) !== undefined) return
    const text = [left, right].find((side) => side.type === 'string')
    const number = [left, right].some((side) => side.type === 'int64' || side.type === 'float64')
    const at = { from: Math.min(left.at.from, right.at.from), to: Math.max(left.at.to, right.at.to) }
    const advice = text && number ? `number(${this.#sourceOf(text)}) reads a text as a number` : undefined
    throw this.#error(at, `cannot compare ${left.type} with ${right.type}`, advice)
  }

  #of(wanted: 'string' | 'number' | 'boolean', value: Checked, who: string): Checked {
    const { type } = this.#scalar(value)
    const fits = wanted === 'number' ? type === 'int64' || type === 'float64' : type === wanted
    if (fits || type === 'null') return value
    throw this.#error(value.at, `${who} takes a ${wanted}, this is ${type}`)
  }

  /** Refuses columns that are not computed with. */
  #scalar(value: Checked): Checked {
    const { type, at } = value
    if (type !== 'json' && type !== 'tokens' && type !== 'other') return value
    const advice = {
      json: `read a field as text with json_value(${this.#sourceOf(value)}, 'field')`,
      tokens: `count them with length(${this.#sourceOf(value)})`,
      other: "only 'is null' can be asked of it",
    }
    throw this.#error(at, `a column of type ${type} cannot be used here`, advice[type])
  }

  #sourceOf({ at }: Checked): string {
    return this.#origin.source.slice(at.from, at.to)
  }

  #error(at: Span, problem: string, advice?: string): Error {
    return expressionError(this.#origin, at, problem, advice)
  }
}

/** The type two values share; undefined when there is none. */
function common(left: NodeType, right: NodeType): NodeType | undefined {
  if (left === right || right === 'null') return left
  if (left === 'null') return right
  const numbers = new Set<NodeType>(['int64', 'float64'])
  return numbers.has(left) && numbers.has(right) ? 'float64' : undefined
}

/**
 * What can be read under which name: the user's columns, then the row's identity, which a user's column of
 * the same name hides (`__file` and `__position` always name it).
 */
function readable(columns: Columns): Map<string, ColumnAst> {
  const names = new Map<string, ColumnAst>()
  const add = (name: string, column: string, type: ColumnReadType): void => {
    if (!names.has(name)) names.set(name, { kind: 'column', name: column, type })
  }
  for (const { name, type } of columns) add(name, name, type)
  add('id', 'id', 'string')
  add('file', '__file', 'string')
  add('position', '__position', 'int64')
  add('__file', '__file', 'string')
  add('__position', '__position', 'int64')
  return names
}
