/**
 * Keeps the named columns, in the named order; the others go.
 *
 * `id`, file and position always stay and need not be named. `text` goes when it is not named; steps that
 * need it afterwards say so when the run is planned.
 */
import { z } from 'zod'
import { findColumn } from './columns.js'
import { projection } from './projection.js'
import { defineMapStep } from './step.js'

const SelectConfig = z.array(z.string()).min(1).readonly().describe('columns to keep, in this order')

export const select = defineMapStep<readonly string[], readonly (readonly [string, string])[]>({
  name: 'select',
  summary: 'keeps the named columns, in the named order',
  example: '- select: [text, lang]',
  config: SelectConfig,

  async prepare(names, { columns, place }) {
    const kept = [...new Set(names)].filter((name) => name !== 'id')
    const selected = kept.map((name) => findColumn(columns, name, place))
    return { columns: selected, identity: null, payload: kept.map((name) => [name, name] as const) }
  },

  open: projection,
})
