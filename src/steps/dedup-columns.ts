/**
 * What deduplications share: the columns they compare and rank rows by, and their options about other runs.
 */
import { z } from 'zod'
import { GristmillError, nearest } from '../core/errors.js'
import type { Columns } from '../kernels/batch.js'

/** `keep: { highest: COLUMN }`. */
export const Highest = z
  .strictObject({ highest: z.string().describe('a numeric column; null counts as lowest') })
  .describe('the row with the highest value of a column, the first of those')

/** `against: [RUN…]`. */
export const Against = z
  .array(z.string().min(1))
  .default([])
  .describe('run directories of earlier runs with the same step; a row that equals one of theirs goes')

/** `index`. */
export const LeavesIndex = z
  .boolean()
  .default(true)
  .describe('whether to leave an index of the rows that stay, for later runs’ against')

/** A column of a batch by name; throws GM_COLUMN_MISSING with the nearest name. */
export function findColumn(columns: Columns, name: string, place: string): Columns[number] {
  const column = name === 'id' ? ({ name: 'id', type: 'string' } as const) : columns.find((c) => c.name === name)
  if (column) return column
  const names = ['id', ...columns.map((c) => c.name)]
  const near = nearest(name, names)
  throw new GristmillError(
    'GM_COLUMN_MISSING',
    `${place}: there is no column '${name}'; the columns are ${names.join(', ')}`,
    {
      ...(near !== undefined && { hint: `did you mean '${near}'?` }),
    },
  )
}

/** Which row stays, as the kernels read it; a column must be there and hold numbers. */
export function priorityOf<Kind extends string>(
  keep: Kind | { readonly highest: string },
  columns: Columns,
  place: string,
): { readonly kind: Kind } | { readonly kind: 'highest'; readonly column: string } {
  if (typeof keep !== 'object') return { kind: keep }
  const { type } = findColumn(columns, keep.highest, place)
  if (type !== 'int64' && type !== 'float64') {
    throw new GristmillError(
      'GM_COLUMN_TYPE',
      `${place}: keep.highest needs a number, but '${keep.highest}' is ${type}`,
    )
  }
  return { kind: 'highest', column: keep.highest }
}
