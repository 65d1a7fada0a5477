/**
 * The expression language: SQL conditions over the columns of a batch.
 *
 * This folder reads and types expressions; crates/kernels/src/expr evaluates them. The language is
 * documented in docs/expressions.md, the AST in ast.ts.
 */
import type { Columns } from '../kernels/batch.js'
import type { TypedExpression } from './ast.js'
import { Checker } from './check.js'
import { parse } from './parser.js'
import { expressionError } from './syntax.js'

export {
  type Ast,
  type ExpressionType,
  type SimpleThreshold,
  type TypedExpression,
  columnsRead,
  conjuncts,
  simpleThreshold,
} from './ast.js'
export { FUNCTIONS } from './functions.js'
export { printExpression } from './print.js'

/**
 * Reads an expression and types it against the columns it may use. `place` is where it stands in the
 * pipeline, as in `steps[1].filter`.
 *
 * Throws GM_EXPRESSION, whose message shows the expression with the error underlined.
 */
export function parseExpression(source: string, columns: Columns, place: string): TypedExpression {
  const origin = { source, place }
  return new Checker(origin, columns).whole(parse(origin))
}

/** As `parseExpression`, for a place that needs a condition. */
export function parseCondition(source: string, columns: Columns, place: string): TypedExpression {
  const expression = parseExpression(source, columns, place)
  if (expression.type !== 'boolean' && expression.type !== 'null') {
    const at = { from: source.length - source.trimStart().length, to: source.trimEnd().length }
    throw expressionError(
      { source, place },
      at,
      `this gives ${expression.type}, a condition must be true or false`,
      'compare it with something, as in length(text) >= 64',
    )
  }
  return expression
}
