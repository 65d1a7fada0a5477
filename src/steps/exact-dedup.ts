/**
 * Removes rows that equal an earlier one in the stated columns, or cuts the lines or paragraphs that do.
 *
 * This file states what is compared and which row stays; the engine carries it out as a boundary between
 * stages (`engine/plan.ts`), the kernels are in crates/kernels/src/dedup/exact.rs and parts.rs. Near-duplicates
 * are another step's matter.
 */
import { z } from 'zod'
import { GristmillError } from '../core/errors.js'
import { Against, findColumn, Highest, LeavesIndex, priorityOf } from './dedup-columns.js'
import { defineGlobalStep } from './step.js'

const ExactDedupConfig = z
  .strictObject({
    on: z
      .union([z.string(), z.array(z.string()).min(1)])
      .default('text')
      .describe('column or columns that must be equal; a row in which all of them are null equals nothing'),
    by: z
      .enum(['row', 'line', 'paragraph'])
      .default('row')
      .describe(
        'what is compared: whole values, whose rows are removed; or lines or paragraphs of one column, which are cut',
      ),
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
    minCharacters: z.int().min(1).default(1).describe('lines or paragraphs of fewer characters are never cut'),
    against: Against,
    index: LeavesIndex,
  })
  .superRefine(({ by, on, normalize, keep, minCharacters, against }, context) => {
    const refuse = (path: string, message: string): void => context.addIssue({ code: 'custom', path: [path], message })
    if (by === 'row') {
      if (minCharacters > 1) refuse('minCharacters', 'is for by: line and by: paragraph')
      return
    }
    if (typeof on !== 'string' && on.length > 1) refuse('on', `by: ${by} looks at one column`)
    if (normalize === 'url') refuse('normalize', `by: ${by} has none or datatrove`)
    if (keep !== 'first') refuse('keep', `by: ${by} always keeps the first`)
    if (against.length > 0) refuse('against', 'earlier runs leave indexes of rows only: use by: row')
  })
  .readonly()

export type ExactDedupConfig = z.infer<typeof ExactDedupConfig>

/** What the engine carries out; `engine/plan.ts` has the types. */
type Payload = { readonly kind: 'exact' | 'parts' } & Readonly<Record<string, unknown>>

export const exactDedup = defineGlobalStep<ExactDedupConfig, Payload>({
  name: 'exact-dedup',
  summary: 'removes rows that equal another one, by a 128-bit hash; each removal names the row that stayed',
  example: '- exact-dedup: { on: text, keep: first }',
  config: ExactDedupConfig,

  async prepare({ on, by, normalize, keep, minCharacters, against, index }, { columns, place }) {
    const compared = typeof on === 'string' ? [on] : on
    const found = compared.map((name) => findColumn(columns, name, place))
    if (by === 'row') {
      const payload = { on: compared, normalize, keep: priorityOf(keep, columns, place), against, index }
      return { columns, identity: null, payload: { kind: 'exact', ...payload } }
    }
    const [column] = found
    if (column!.name === 'id' || column!.type !== 'string') {
      throw new GristmillError(
        'GM_COLUMN_TYPE',
        `${place}: by: ${by} cuts a column of text, but '${column!.name}' is ${column!.name === 'id' ? 'the rows’ name' : column!.type}`,
      )
    }
    return { columns, identity: null, payload: { kind: 'parts', column: column!.name, by, normalize, minCharacters } }
  },
})
