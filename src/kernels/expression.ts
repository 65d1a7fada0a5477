/**
 * Expressions at work: the typed face of crates/node/src/expression.rs.
 */
import type { NativeExpression, NativeRemovedLog } from '../../native/index.js'
import type { Batch } from './batch.js'
import { addon, native } from './native.js'

/** Why a regular expression cannot be compiled; undefined when it can. */
export function regexProblem(pattern: string): string | undefined {
  return native(() => addon.regexProblem(pattern)) ?? undefined
}

/** What a filter writes beside each removed row. */
export interface FilterRecord {
  readonly step: string
  readonly rule: string
  /** The number a measure is held against, when the expression is `measure op number`. */
  readonly threshold?: number | undefined
}

/** A compiled expression; `ast` is an `Ast` of src/expressions/ast.ts. Holds no memory of a batch. */
export class Expression {
  readonly #native: NativeExpression

  constructor(ast: object) {
    const json = JSON.stringify(ast)
    this.#native = native(() => new addon.NativeExpression(json))
  }

  /** Keeps the rows for which the condition is true and records the others; returns how many left. */
  filter(batch: Batch, removed: NativeRemovedLog, { step, rule, threshold }: FilterRecord): number {
    return batch.change((handle) => this.#native.filter(handle, removed, step, rule, threshold))
  }

  /** Keeps the rows for which the condition is true, without a record; returns how many left. */
  prune(batch: Batch): number {
    return batch.change((handle) => this.#native.prune(handle))
  }

  /** Computes the expression into a column, which is replaced or added as the last. */
  setColumn(batch: Batch, name: string, type: 'string' | 'int64' | 'float64' | 'boolean'): void {
    batch.change((handle) => this.#native.setColumn(handle, name, type))
  }
}
