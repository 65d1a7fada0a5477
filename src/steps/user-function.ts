/**
 * Calling a user's function on rows: one at a time, in order, awaited when it asks for that.
 *
 * What the function throws comes back as the `cause` of a GM_USER_FUNCTION error that names the row.
 */
import { GristmillError } from '../core/errors.js'
import type { Batch } from '../kernels/batch.js'
import type { Row, RowReader } from '../kernels/rows.js'

export type RowFunction = (row: Row) => unknown

/** Calls `fn` on each selected row and hands its result to `take`. */
export async function forEachRow(
  batch: Batch,
  reader: RowReader,
  step: string,
  fn: RowFunction,
  take: (result: unknown, row: Row, index: number) => void,
): Promise<void> {
  const selection = batch.selection()
  const { rows } = batch
  for (let index = 0; index < rows; index++) {
    if (selection !== null && !((selection[index >> 3]! >> (index & 7)) & 1)) continue
    const row = reader.row(index)
    let result: unknown
    try {
      result = fn(row)
      if (isPromise(result)) result = await result
    } catch (cause) {
      throw userError(step, batch, index, `the function threw: ${messageOf(cause)}`, cause)
    }
    take(result, row, index)
  }
}

/** A GM_USER_FUNCTION error that names the row. */
export function userError(step: string, batch: Batch, row: number, problem: string, cause?: unknown): GristmillError {
  const id = batch.ids()[row]
  return new GristmillError('GM_USER_FUNCTION', `${step}, row '${id}': ${problem}`, { cause })
}

function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
