/**
 * Expressions at work: the typed face of crates/node/src/expression.rs.
 */
import { addon, native } from './native.js'

/** Why a regular expression cannot be compiled; undefined when it can. */
export function regexProblem(pattern: string): string | undefined {
  return native(() => addon.regexProblem(pattern)) ?? undefined
}
