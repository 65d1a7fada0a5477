/**
 * Keeps a random part of the rows: a fraction, or a number of them.
 *
 * Which rows depends on their identity (file, position and, after `chunk`, the number of the piece) and on
 * the seed alone: not on their order, their content, or what else is in the data. So the same rows stay when
 * steps before are changed, and `fraction: 0.1` keeps a part of what `fraction: 0.2` keeps. `count` keeps
 * the rows with the smallest hashes. Removed rows are recorded.
 */
import { z } from 'zod'
import { GristmillError } from '../core/errors.js'
import { sampleRows } from '../kernels/sample.js'
import { defineMapStep } from './step.js'

const SampleConfig = z
  .strictObject({
    fraction: z.number().min(0).max(1).optional().describe('share of the rows to keep, 0 to 1'),
    count: z.int().min(0).optional().describe('number of rows to keep; all when there are fewer'),
    seed: z.int().default(0).describe('another seed keeps other rows'),
  })
  .refine(({ fraction, count }) => (fraction === undefined) !== (count === undefined), {
    error: "state either 'fraction' or 'count'",
  })
  .readonly()

export type SampleConfig = z.infer<typeof SampleConfig>

/** `count` needs to see every row: the engine carries it out, by `rowHashes` of kernels/sample.ts. */
export type SamplePayload =
  | { readonly kind: 'fraction'; readonly fraction: number; readonly seed: number }
  | { readonly kind: 'count'; readonly count: number; readonly seed: number }

export const sample = defineMapStep<SampleConfig, SamplePayload>({
  name: 'sample',
  summary: 'keeps a random part of the rows, the same in every run',
  example: '- sample: { fraction: 0.1, seed: 7 }',
  config: SampleConfig,

  async prepare({ fraction, count, seed }, { columns }) {
    const payload: SamplePayload =
      count === undefined ? { kind: 'fraction', fraction: fraction ?? 1, seed } : { kind: 'count', count, seed }
    return { columns, identity: null, payload }
  },

  open(payload, { removed, step }) {
    if (payload.kind === 'count') {
      throw new GristmillError('GM_INTERNAL', 'a sample by count was opened as a step of one batch at a time')
    }
    const { seed, fraction } = payload
    return {
      run(batch) {
        sampleRows(batch, removed, { step, seed, fraction })
        return undefined
      },
      [Symbol.dispose]() {},
    }
  },
})
