/**
 * Drops the named columns.
 *
 * `id` cannot be dropped. `text` can; steps that need it afterwards say so when the run is planned.
 */
import { z } from 'zod'
import { findColumn, refuseId } from './columns.js'
import { projection } from './projection.js'
import { defineMapStep } from './step.js'

const DropConfig = z
  .union([z.string().transform((name) => [name]), z.array(z.string()).min(1)])
  .readonly()
  .describe('column or columns to drop')

export const drop = defineMapStep<readonly string[], readonly (readonly [string, string])[]>({
  name: 'drop',
  summary: 'drops the named columns',
  example: '- drop: [meta]',
  config: DropConfig,

  async prepare(names, { columns, place }) {
    for (const name of names) {
      refuseId(name, 'dropped', place)
      findColumn(columns, name, place)
    }
    const kept = columns.filter(({ name }) => !names.includes(name))
    return { columns: kept, identity: null, payload: kept.map(({ name }) => [name, name] as const) }
  },

  open: projection,
})
