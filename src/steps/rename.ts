/**
 * Renames columns; they keep their places.
 *
 * All names change at once, so two columns can swap theirs. `id` keeps its name. A column can become `text`
 * when the column of that name is renamed or was dropped.
 */
import { z } from 'zod'
import { GristmillError } from '../core/errors.js'
import { checkNewName, findColumn, refuseId } from './columns.js'
import { projection } from './projection.js'
import { defineMapStep } from './step.js'

const RenameConfig = z
  .record(z.string(), z.string())
  .readonly()
  .describe('new name by old name, as in { content: text }')

export const rename = defineMapStep<Readonly<Record<string, string>>, readonly (readonly [string, string])[]>({
  name: 'rename',
  summary: 'renames columns',
  example: '- rename: { lang: language }',
  config: RenameConfig,

  async prepare(names, { columns, place }) {
    for (const [from, to] of Object.entries(names)) {
      refuseId(from, 'renamed', place)
      findColumn(columns, from, place)
      checkNewName(to, place)
      refuseId(to, 'the new name of a column', place)
    }
    const nameOf = (name: string): string => (Object.hasOwn(names, name) ? names[name]! : name)
    const renamed = columns.map(({ name, type }) => ({ name: nameOf(name), type }))
    const twice = renamed.find(({ name }, index) => renamed.findIndex((other) => other.name === name) < index)
    if (twice !== undefined) {
      throw new GristmillError('GM_CONFIG', `${place}: two columns would be called '${twice.name}'`, {
        hint: `drop one of them first, as in - drop: ${twice.name}`,
      })
    }
    return { columns: renamed, identity: null, payload: columns.map(({ name }) => [name, nameOf(name)] as const) }
  },

  open: projection,
})
