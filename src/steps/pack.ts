/**
 * Lays documents out in training sequences, as an index beside the token shards.
 *
 * A global step: the engine packs windows of 2^20 documents in output order with the kernel `packWindow`
 * and writes packs/LENGTH/. No token is moved; the shards stay as they are.
 */
import { z } from 'zod'
import { GristmillError } from '../core/errors.js'
import { LONGEST_SEQUENCE } from '../kernels/packing.js'
import type { PackOptions } from '../kernels/packing.js'
import { defineGlobalStep } from './step.js'

const PackConfig = z
  .strictObject({
    length: z.int().min(1).max(LONGEST_SEQUENCE).describe('tokens of a full sequence'),
    strategy: z
      .enum(['best-fit', 'concat'])
      .default('best-fit')
      .describe(
        'best-fit keeps documents whole where they fit and leaves little room empty; concat fills every sequence and cuts documents wherever one is full',
      ),
    truncate: z
      .boolean()
      .default(false)
      .describe(
        'cuts off what a document has beyond length (counted in the report) instead of making further pieces of it',
      ),
  })
  .readonly()

export type PackConfig = z.infer<typeof PackConfig>

export const pack = defineGlobalStep<PackConfig, PackOptions>({
  name: 'pack',
  summary: 'lays documents out in sequences of a fixed length, as an index beside the token shards',
  example: '- pack: { length: 2048, strategy: best-fit }',
  config: PackConfig,

  async prepare(config, { columns, place }) {
    if (!columns.some((column) => column.name === 'tokens' && column.type === 'tokens')) {
      throw new GristmillError('GM_CONFIG', `${place}: packing needs token ids`, {
        hint: 'put a step `tokenize` before it',
      })
    }
    return { columns, identity: config, payload: config }
  },
})
