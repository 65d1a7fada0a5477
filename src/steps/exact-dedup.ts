/**
 * Removes rows that equal an earlier one in the stated columns.
 *
 * This file states what is compared and which row stays; the engine carries it out as a boundary between
 * stages (`engine/plan.ts`), the kernels are in crates/kernels/src/dedup/exact.rs. Near-duplicates are
 * another step's matter.
 */
import { z } from 'zod'
import { GristmillError, nearest } from '../core/errors.js'
import type { Columns } from '../kernels/batch.js'
import { defineGlobalStep } from './step.js'

const Highest = z
  .strictObject({ highest: z.string().describe('a numeric column; null counts as lowest') })
  .describe('the row with the highest value of a column, the first of those')

const ExactDedupConfig = z
  .strictObject({
    on: z
      .union([z.string(), z.array(z.string()).min(1)])
      .default('text')
      .describe('column or columns that must be equal; a row in which all of them are null equals nothing'),
    keep: z
      .union([z.enum(['first', 'last', 'longest']), Highest])
      .default('first')
      .describe(
        'which of the equal rows stays, in row order: first, last, longest (most bytes of text), or { highest: COLUMN }',
      ),
  })
  .readonly()

export type ExactDedupConfig = z.infer<typeof ExactDedupConfig>

export const exactDedup = defineGlobalStep({
  name: 'exact-dedup',
  summary: 'removes rows that equal another one, by a 128-bit hash; each removal names the row that stayed',
  example: '- exact-dedup: { on: text, keep: first }',
  config: ExactDedupConfig,

  async prepare({ on, keep }, { columns, place }) {
    const compared = typeof on === 'string' ? [on] : on
    for (const name of compared) findColumn(columns, name, place)
    if (typeof keep === 'object') {
      const { type } = findColumn(columns, keep.highest, place)
      if (type !== 'int64' && type !== 'float64') {
        throw new GristmillError(
          'GM_COLUMN_TYPE',
          `${place}: keep.highest needs a number, but '${keep.highest}' is ${type}`,
        )
      }
    }
    const kept = typeof keep === 'object' ? { kind: 'highest', column: keep.highest } : { kind: keep }
    return { columns, identity: null, payload: { on: compared, keep: kept } }
  },
})

/** A column of a batch by name; throws GM_COLUMN_MISSING with the nearest name. */
function findColumn(columns: Columns, name: string, place: string): Columns[number] {
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
