/**
 * The functions of the expression language: what they take and give. The table is the reference that
 * docs/expressions.md is checked against; the work is done in crates/kernels/src/expr/functions.rs.
 */
import type { Ast, ExpressionType } from './ast.js'

/**
 * What an argument accepts. `same` arguments of one call must have a common type; `pattern`, `path` and
 * `digits` must be literals, since they are compiled once.
 */
export type Parameter =
  | 'text'
  | 'number'
  | 'scalar'
  | 'same'
  | 'comparable'
  | 'json'
  | 'textOrTokens'
  | 'pattern'
  | 'path'
  | 'digits'

export interface FunctionSignature {
  readonly name: string
  /** Required parameters; the last one repeats when `variadic`. */
  readonly parameters: readonly Parameter[]
  readonly optional?: Parameter
  readonly variadic?: boolean
  /** Type of the result; `same` is the common type of the arguments. */
  readonly result: Exclude<ExpressionType, 'null'> | 'same'
  /** As shown to people. */
  readonly usage: string
  readonly summary: string
}

export const FUNCTIONS: readonly FunctionSignature[] = [
  {
    name: 'length',
    parameters: ['textOrTokens'],
    result: 'int64',
    usage: 'length(text)',
    summary: 'Unicode code points of a text; tokens of a token column',
  },
  { name: 'bytes', parameters: ['text'], result: 'int64', usage: 'bytes(text)', summary: 'bytes of the text in UTF-8' },
  {
    name: 'words',
    parameters: ['text'],
    result: 'int64',
    usage: 'words(text)',
    summary: 'stretches between white space (the Unicode property White_Space)',
  },
  {
    name: 'lines',
    parameters: ['text'],
    result: 'int64',
    usage: 'lines(text)',
    summary: 'lines ended by a line feed, plus an unended last one; 0 for an empty text',
  },
  { name: 'lower', parameters: ['text'], result: 'string', usage: 'lower(text)', summary: 'lower case, by Unicode' },
  { name: 'upper', parameters: ['text'], result: 'string', usage: 'upper(text)', summary: 'upper case, by Unicode' },
  {
    name: 'trim',
    parameters: ['text'],
    result: 'string',
    usage: 'trim(text)',
    summary: 'without white space at both ends',
  },
  {
    name: 'replace',
    parameters: ['text', 'text', 'text'],
    result: 'string',
    usage: "replace(text, 'from', 'to')",
    summary: 'every occurrence replaced, from the left; an empty `from` changes nothing',
  },
  {
    name: 'concat',
    parameters: ['text'],
    variadic: true,
    result: 'string',
    usage: 'concat(a, b, …)',
    summary: 'the texts joined; nulls are left out',
  },
  {
    name: 'contains',
    parameters: ['text', 'text'],
    result: 'boolean',
    usage: "contains(text, 'part')",
    summary: 'whether the part occurs, case and all',
  },
  {
    name: 'starts_with',
    parameters: ['text', 'text'],
    result: 'boolean',
    usage: "starts_with(text, 'start')",
    summary: 'whether the text begins so',
  },
  {
    name: 'ends_with',
    parameters: ['text', 'text'],
    result: 'boolean',
    usage: "ends_with(text, 'end')",
    summary: 'whether the text ends so',
  },
  {
    name: 'matches',
    parameters: ['text', 'pattern'],
    result: 'boolean',
    usage: "matches(text, 'regex')",
    summary: 'whether the regular expression (syntax of the Rust crate regex, linear time) matches somewhere',
  },
  {
    name: 'coalesce',
    parameters: ['same'],
    variadic: true,
    result: 'same',
    usage: 'coalesce(a, b, …)',
    summary: 'the first that is not null',
  },
  { name: 'abs', parameters: ['number'], result: 'same', usage: 'abs(x)', summary: 'without the sign' },
  {
    name: 'round',
    parameters: ['number'],
    optional: 'digits',
    result: 'same',
    usage: 'round(x), round(x, digits)',
    summary: 'to that many decimal digits (0), halves away from zero',
  },
  { name: 'floor', parameters: ['number'], result: 'same', usage: 'floor(x)', summary: 'down to a whole number' },
  { name: 'ceil', parameters: ['number'], result: 'same', usage: 'ceil(x)', summary: 'up to a whole number' },
  {
    name: 'least',
    parameters: ['comparable', 'comparable'],
    variadic: true,
    result: 'same',
    usage: 'least(a, b, …)',
    summary: 'the smallest; nulls are left out; also written min',
  },
  {
    name: 'greatest',
    parameters: ['comparable', 'comparable'],
    variadic: true,
    result: 'same',
    usage: 'greatest(a, b, …)',
    summary: 'the largest; nulls are left out; also written max',
  },
  {
    name: 'number',
    parameters: ['scalar'],
    result: 'float64',
    usage: 'number(x)',
    summary: 'a text as a number, null when it is none; true is 1, false 0',
  },
  {
    name: 'string',
    parameters: ['scalar'],
    result: 'string',
    usage: 'string(x)',
    summary: 'as text; a number with the fewest digits that read back the same',
  },
  {
    name: 'json_value',
    parameters: ['json', 'path'],
    result: 'string',
    usage: "json_value(meta, 'a.b[0]')",
    summary: 'the value at a path of a JSON column (or of a text holding JSON) as text; null where there is none',
  },
]

/** Other spellings people try, each with the name in the table. */
export const ALIASES: Readonly<Record<string, string>> = {
  min: 'least',
  max: 'greatest',
  ceiling: 'ceil',
  len: 'length',
  char_length: 'length',
}

export function findFunction(name: string): FunctionSignature | undefined {
  const lower = name.toLowerCase()
  const canonical = Object.hasOwn(ALIASES, lower) ? ALIASES[lower] : lower
  return FUNCTIONS.find((signature) => signature.name === canonical)
}

/** Whether an argument of a literal-only parameter is one of the right type. */
export function isLiteralFor(parameter: Parameter, ast: Ast): boolean {
  if (parameter === 'digits') return ast.kind === 'literal' && ast.type === 'int64'
  if (parameter === 'pattern' || parameter === 'path') return ast.kind === 'literal' && ast.type === 'string'
  return true
}
