/**
 * Removes rows that equal an earlier one in the stated columns.
 *
 * This file states what is compared and which row stays; the engine carries it out as a boundary between
 * stages (`engine/plan.ts`), the kernels are in crates/kernels/src/dedup/exact.rs. Near-duplicates are
 * another step's matter.
 */
import { z } from 'zod'
import { findColumn, Highest, priorityOf } from './dedup-columns.js'
import { defineGlobalStep } from './step.js'

const ExactDedupConfig = z
  .strictObject({
    on: z
      .union([z.string(), z.array(z.string()).min(1)])
      .default('text')
      .describe('column or columns that must be equal; a row in which all of them are null equals nothing'),
    normalize: z
      .enum(['none', 'datatrove', 'url'])
      .default('none')
      .describe(
        'what strings are compared without: nothing, what datatrove simplifies (case, punctuation, numbers, accents), or what makes no difference in a url',
      ),
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

  async prepare({ on, normalize, keep }, { columns, place }) {
    const compared = typeof on === 'string' ? [on] : on
    for (const name of compared) findColumn(columns, name, place)
    return { columns, identity: null, payload: { on: compared, normalize, keep: priorityOf(keep, columns, place) } }
  },
})
