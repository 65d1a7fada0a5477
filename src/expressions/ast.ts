/**
 * The typed form of an expression: plain JSON, told apart by `kind`.
 *
 * This shape is read by the native evaluator (crates/kernels/src/expr/ast.rs), by predicate push-down and
 * by task names, so it is stable: kinds may be added, none changes its meaning. Names are resolved (the
 * batch's own names: `__file`, `__position`, `id`), functions have one spelling, constants are folded into
 * literals where a minus stood before a number, and chains of `and`/`or` are flat.
 *
 * Comparison, arithmetic and logic follow SQL: null means unknown; see docs/expressions.md.
 */

/** Type of an expression. `null` is the type of the literal `null`, which fits everywhere. */
export type ExpressionType = 'string' | 'int64' | 'float64' | 'boolean' | 'null'

/** Type of a column that is read; the last three only suit `is null` and the functions made for them. */
export type ColumnReadType = Exclude<ExpressionType, 'null'> | 'json' | 'tokens' | 'other'

export type LiteralAst =
  | { readonly kind: 'literal'; readonly type: 'string'; readonly value: string }
  /** A number where it is a safe integer, decimal digits (with sign) otherwise. */
  | { readonly kind: 'literal'; readonly type: 'int64'; readonly value: number | string }
  | { readonly kind: 'literal'; readonly type: 'float64'; readonly value: number }
  | { readonly kind: 'literal'; readonly type: 'boolean'; readonly value: boolean }
  | { readonly kind: 'literal'; readonly type: 'null'; readonly value: null }

export type CompareOperator = '=' | '!=' | '<' | '<=' | '>' | '>='
export type ArithmeticOperator = '+' | '-' | '*' | '/' | '%'

/** `name` is the batch's name of the column: `__file` and `__position` for `file` and `position`. */
export interface ColumnAst {
  readonly kind: 'column'
  readonly name: string
  readonly type: ColumnReadType
}

/** Two or more operands, none of them of the same kind. */
export interface LogicAst {
  readonly kind: 'and' | 'or'
  readonly operands: readonly Ast[]
}

export interface NotAst {
  readonly kind: 'not'
  readonly operand: Ast
}

export interface CompareAst {
  readonly kind: 'compare'
  readonly op: CompareOperator
  readonly left: Ast
  readonly right: Ast
}

/** `operand in (values)`; values are literals of a type that compares with the operand's, or null. */
export interface InAst {
  readonly kind: 'in'
  readonly operand: Ast
  readonly values: readonly LiteralAst[]
  readonly negated: boolean
}

export interface BetweenAst {
  readonly kind: 'between'
  readonly operand: Ast
  readonly low: Ast
  readonly high: Ast
  readonly negated: boolean
}

/** `%` in `pattern` matches any run of characters, `_` one code point. */
export interface LikeAst {
  readonly kind: 'like'
  readonly operand: Ast
  readonly pattern: string
  readonly negated: boolean
}

export interface IsNullAst {
  readonly kind: 'is-null'
  readonly operand: Ast
  readonly negated: boolean
}

export interface ArithmeticAst {
  readonly kind: 'arithmetic'
  readonly op: ArithmeticOperator
  readonly left: Ast
  readonly right: Ast
}

export interface NegateAst {
  readonly kind: 'negate'
  readonly operand: Ast
}

/** `function` is a name of the table in functions.ts, never an alias. */
export interface CallAst {
  readonly kind: 'call'
  readonly function: string
  readonly arguments: readonly Ast[]
}

export type Ast =
  | LiteralAst
  | ColumnAst
  | LogicAst
  | NotAst
  | CompareAst
  | InAst
  | BetweenAst
  | LikeAst
  | IsNullAst
  | ArithmeticAst
  | NegateAst
  | CallAst

/** An expression that was parsed and checked against columns. */
export interface TypedExpression {
  readonly ast: Ast
  readonly type: ExpressionType
}

/** The expressions directly below one, in source order. */
export function children(ast: Ast): readonly Ast[] {
  switch (ast.kind) {
    case 'literal':
    case 'column':
      return []
    case 'and':
    case 'or':
      return ast.operands
    case 'compare':
    case 'arithmetic':
      return [ast.left, ast.right]
    case 'between':
      return [ast.operand, ast.low, ast.high]
    case 'in':
      return [ast.operand, ...ast.values]
    case 'call':
      return ast.arguments
    case 'not':
    case 'negate':
    case 'like':
    case 'is-null':
      return [ast.operand]
  }
}

/** Columns an expression reads, by the batch's names, each once, in order of appearance. */
export function columnsRead(ast: Ast): string[] {
  const names = new Set<string>()
  const visit = (node: Ast): void => {
    if (node.kind === 'column') names.add(node.name)
    children(node).forEach(visit)
  }
  visit(ast)
  return [...names]
}

/** The parts that must all be true: the operands of a top-level `and`, else the expression itself. */
export function conjuncts(ast: Ast): readonly Ast[] {
  return ast.kind === 'and' ? ast.operands : [ast]
}

/** A number measured on each row and what it is held against. */
export interface SimpleThreshold {
  readonly measure: Ast
  readonly op: CompareOperator
  readonly threshold: number
}

const FLIPPED: Readonly<Record<CompareOperator, CompareOperator>> = {
  '=': '=',
  '!=': '!=',
  '<': '>',
  '<=': '>=',
  '>': '<',
  '>=': '<=',
}

/**
 * The measure and threshold of `measure op number` (or `number op measure`, turned around), so that a
 * removed row can be recorded with what was measured; undefined for any other expression.
 */
export function simpleThreshold(ast: Ast): SimpleThreshold | undefined {
  if (ast.kind !== 'compare') return undefined
  const { left, right, op } = ast
  const [threshold, leftNumber] = [numberOf(right), numberOf(left)]
  if (threshold !== undefined && left.kind !== 'literal') return { measure: left, op, threshold }
  if (leftNumber !== undefined && right.kind !== 'literal') {
    return { measure: right, op: FLIPPED[op], threshold: leftNumber }
  }
  return undefined
}

function numberOf(ast: Ast): number | undefined {
  if (ast.kind !== 'literal') return undefined
  return ast.type === 'int64' || ast.type === 'float64' ? Number(ast.value) : undefined
}
