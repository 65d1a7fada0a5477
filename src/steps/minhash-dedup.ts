/**
 * Removes rows whose text is nearly that of another row.
 *
 * This file states what alike means and which row stays; the engine carries it out as a boundary between
 * stages (`engine/plan.ts`, `engine/decide.ts`), the kernels are in crates/kernels/src/dedup/minhash. Equal
 * rows are removed cheaper by `exact-dedup`, which may stand before it.
 */
import { z } from 'zod'
import { GristmillError } from '../core/errors.js'
import { chooseBands } from '../kernels/minhash.js'
import { Against, findColumn, Highest, LeavesIndex, priorityOf } from './dedup-columns.js'
import { defineGlobalStep } from './step.js'

const MinhashDedupConfig = z
  .strictObject({
    threshold: z
      .number()
      .min(0.05)
      .max(1)
      .default(0.8)
      .describe('Jaccard similarity of two texts’ shingles from which one of them goes, 0.05 to 1'),
    shingle: z
      .enum(['word', 'char'])
      .default('word')
      .describe('what a shingle is made of; in scripts without spaces (Han, Thai, …) a character is a word'),
    size: z.int().min(1).max(100).default(5).describe('words or characters of a shingle'),
    normalize: z
      .enum(['datatrove', 'none'])
      .default('datatrove')
      .describe(
        'what texts are compared without: datatrove (case, punctuation, numbers, accents) or none (runs of white space alone)',
      ),
    permutations: z
      .int()
      .min(4)
      .max(4096)
      .default(112)
      .describe('minima of a signature; more find a few more pairs and cost time'),
    keep: z
      .union([z.enum(['first', 'longest']), Highest])
      .default('first')
      .describe('which rows are to stay: first in row order, longest (most bytes of text), or { highest: COLUMN }'),
    cluster: z
      .enum(['greedy', 'transitive'])
      .default('greedy')
      .describe(
        'greedy: a row goes only if it is similar enough to the row that stays; transitive: a chain of similar rows suffices',
      ),
    against: Against,
    index: LeavesIndex,
  })
  .readonly()

export type MinhashDedupConfig = z.infer<typeof MinhashDedupConfig>

export const minhashDedup = defineGlobalStep({
  name: 'minhash-dedup',
  summary: 'removes near-duplicates: found by MinHash, confirmed by counting, each with the row that stayed',
  example: '- minhash-dedup: { threshold: 0.8, keep: longest }',
  config: MinhashDedupConfig,

  async prepare({ threshold, permutations, keep, ...rest }, { columns, place }) {
    const { type } = findColumn(columns, 'text', place)
    if (type !== 'string') throw new GristmillError('GM_COLUMN_TYPE', `${place}: text must be a string, but is ${type}`)
    const bands = chooseBands(permutations, threshold)
    if (!bands) {
      throw new GristmillError(
        'GM_CONFIG',
        `${place}: ${permutations} permutations are too few to find pairs at a threshold of ${threshold}`,
        { hint: 'raise permutations; 112 do for every threshold' },
      )
    }
    return {
      columns,
      identity: null,
      payload: { kind: 'minhash', ...rest, threshold, ...bands, keep: priorityOf(keep, columns, place) },
    }
  },
})
