/**
 * Writes an AST as an expression: the inverse of parsing. Used as the rule of removed rows and in `explain`.
 */
import type { Ast, LiteralAst } from './ast.js'
import { PLAIN_NAME, isKeyword } from './lexer.js'
import { AND, ATOM, COMPARE, MINUS, NOT, OR, PRODUCT, SUM } from './precedence.js'

export function printExpression(ast: Ast): string {
  switch (ast.kind) {
    case 'literal':
      return printLiteral(ast)
    case 'column':
      return printName(ast.name)
    case 'and':
    case 'or':
      return ast.operands.map((operand) => within(operand, powerOf(ast) + 1)).join(` ${ast.kind} `)
    case 'not':
      return `not ${within(ast.operand, NOT)}`
    case 'compare':
      return `${within(ast.left, SUM)} ${ast.op} ${within(ast.right, SUM)}`
    case 'in':
      return `${within(ast.operand, SUM)} ${not(ast)}in (${ast.values.map(printExpression).join(', ')})`
    case 'between':
      return `${within(ast.operand, SUM)} ${not(ast)}between ${within(ast.low, SUM)} and ${within(ast.high, SUM)}`
    case 'like':
      return `${within(ast.operand, SUM)} ${not(ast)}like ${quote(ast.pattern)}`
    case 'is-null':
      return `${within(ast.operand, SUM)} is ${not(ast)}null`
    case 'arithmetic': {
      const power = powerOf(ast)
      return `${within(ast.left, power)} ${ast.op} ${within(ast.right, power + 1)}`
    }
    case 'negate':
      // Never two minus signs in a row, which other dialects read as a comment.
      return `-${within(ast.operand, MINUS + 1)}`
    case 'call':
      return `${ast.function}(${ast.arguments.map(printExpression).join(', ')})`
  }
}

function within(ast: Ast, minimum: number): string {
  const printed = printExpression(ast)
  return powerOf(ast) < minimum ? `(${printed})` : printed
}

function powerOf(ast: Ast): number {
  switch (ast.kind) {
    case 'or':
      return OR
    case 'and':
      return AND
    case 'not':
      return NOT
    case 'compare':
    case 'in':
    case 'between':
    case 'like':
    case 'is-null':
      return COMPARE
    case 'arithmetic':
      return ast.op === '+' || ast.op === '-' ? SUM : PRODUCT
    case 'negate':
      return MINUS
    default:
      return ATOM
  }
}

function not({ negated }: { readonly negated: boolean }): string {
  return negated ? 'not ' : ''
}

function printLiteral(literal: LiteralAst): string {
  switch (literal.type) {
    case 'string':
      return quote(literal.value)
    case 'float64': {
      const digits = Object.is(literal.value, -0) ? '-0.0' : String(literal.value)
      return /[.e]/.test(digits) ? digits : `${digits}.0`
    }
    default:
      return String(literal.value)
  }
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

function printName(name: string): string {
  return PLAIN_NAME.test(name) && !isKeyword(name) ? name : `"${name.replaceAll('"', '""')}"`
}
