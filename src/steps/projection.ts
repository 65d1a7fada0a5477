/**
 * What `select`, `rename` and `drop` come down to: the user columns, each taken from another.
 */
import type { StepRunner } from './step.js'

/** Makes the user columns the given [from, to] pairs, in order. */
export function projection(columns: readonly (readonly [from: string, to: string])[]): StepRunner {
  const pairs = columns.map(([from, to]) => [from, to])
  return {
    run(batch) {
      batch.change((handle) => handle.project(pairs))
      return undefined
    },
    [Symbol.dispose]() {},
  }
}
