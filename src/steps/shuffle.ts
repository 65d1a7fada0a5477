/**
 * Puts the rows of the whole input into a random order that depends on the seed alone.
 *
 * The engine carries it out as a boundary between stages (`engine/plan.ts`); the kernels are in
 * crates/kernels/src/order.
 */
import { z } from 'zod'
import { defineGlobalStep } from './step.js'

const ShuffleConfig = z
  .strictObject({
    seed: z.int().min(0).default(0).describe('another seed gives another order'),
  })
  .readonly()

export type ShuffleConfig = z.infer<typeof ShuffleConfig>

export const shuffle = defineGlobalStep({
  name: 'shuffle',
  summary: 'shuffles all rows, on disk, by a seeded hash of each row',
  example: '- shuffle: { seed: 42 }',
  config: ShuffleConfig,

  async prepare({ seed }, { columns }) {
    return { columns, identity: null, payload: { seed } }
  },
})
