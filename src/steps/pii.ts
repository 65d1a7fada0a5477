/**
 * Private data in text: masked, replaced, counted, or the documents dropped or routed to files of their own.
 *
 * The kernel finds what has a form of its own (crates/kernels/src/pii); names of people and street addresses
 * have none. What was found is in no record: edits say the kind, how often and how many bytes, removed rows the
 * kind and where the first begins. Routed rows are in `routed/` alone, which never leaves the machine.
 */
import { z } from 'zod'
import { GristmillError } from '../core/errors.js'
import { PiiFinder } from '../kernels/pii.js'
import { findColumn, withColumns } from './columns.js'
import { defineMapStep } from './step.js'

const KINDS = ['email', 'phone', 'ip', 'credit-card', 'iban', 'resident-id', 'api-key', 'private-key'] as const
type Kind = (typeof KINDS)[number]
type Texts = Readonly<Record<Kind, string>>

/** Values that belong to nobody: reserved names and addresses (RFC 2606, RFC 5737), numbers with a wrong check digit. */
const HARMLESS: Texts = {
  email: 'name@example.com',
  phone: '+1 555 0100',
  ip: '192.0.2.1',
  'credit-card': '0000 0000 0000 0000',
  iban: 'XX00 0000 0000 0000',
  'resident-id': '000000000000000000',
  'api-key': 'API-KEY',
  'private-key': 'PRIVATE-KEY',
}

const PiiConfig = z
  .strictObject({
    kinds: z
      .array(z.enum(KINDS))
      .min(1)
      .default([...KINDS])
      .describe('what to look for; all kinds when left out'),
    action: z
      .enum(['mask', 'replace', 'drop', 'route'])
      .default('mask')
      .describe(
        '`mask` puts the kind in its place, as in <EMAIL>; `replace` a harmless value; `drop` removes the document; `route` writes it to routed/ instead of the output',
      ),
    with: z
      .partialRecord(z.enum(KINDS), z.string())
      .default({})
      .describe('what to put in place of a kind, instead of the mask or the harmless value'),
    mode: z
      .enum(['annotate', 'remove'])
      .default('remove')
      .describe('`annotate` counts each kind in a column, as in pii_email, and changes nothing'),
    column: z.string().default('text').describe('column to read'),
  })
  .readonly()

export type PiiConfig = z.infer<typeof PiiConfig>

export interface PiiPayload {
  readonly column: string
  readonly kinds: readonly Kind[]
  readonly action: 'annotate' | 'drop' | 'replace' | 'route'
  /** What is put in place of a kind, or the column that counts it. */
  readonly texts: Readonly<Record<string, string>>
}

export const pii = defineMapStep<PiiConfig, PiiPayload>({
  name: 'pii',
  summary: 'masks private data, as e-mail addresses and card numbers, or removes the documents that hold it',
  example: '- pii: { kinds: [email, phone, ip], action: mask }',
  config: PiiConfig,
  private: true,

  async prepare({ kinds, action, with: instead, mode, column }, { columns, place }) {
    const { type } = findColumn(columns, column, place)
    if (type !== 'string') {
      throw new GristmillError('GM_COLUMN_TYPE', `${place}: column '${column}' is ${type}, not text`)
    }
    checkTexts({ kinds, action, with: instead }, place)
    const text = (kind: Kind): string => {
      const underscored = kind.replace('-', '_')
      if (mode === 'annotate') return `pii_${underscored}`
      return instead[kind] ?? (action === 'mask' ? `<${underscored.toUpperCase()}>` : HARMLESS[kind])
    }
    const texts = Object.fromEntries(kinds.map((kind) => [kind, text(kind)]))
    const added = mode === 'annotate' ? kinds.map((kind) => ({ name: text(kind), type: 'int64' as const })) : []
    return {
      columns: withColumns(columns, added),
      identity: null,
      routes: mode !== 'annotate' && action === 'route',
      payload: {
        column,
        kinds,
        action: mode === 'annotate' ? 'annotate' : action === 'mask' ? 'replace' : action,
        texts,
      },
    }
  },

  open({ column, kinds, action, texts }, { removed, edits, routed, step }) {
    const finder = new PiiFinder(kinds)
    return {
      run(batch) {
        if (action === 'annotate') finder.annotate(batch, column, texts)
        else if (action === 'drop') finder.remove(batch, removed, step, column)
        else if (action === 'route') finder.route(batch, routed, step, column)
        else finder.replace(batch, edits, step, column, texts)
        return undefined
      },
      [Symbol.dispose]() {},
    }
  },
})

/** A text that nothing would be replaced by is a slip. */
function checkTexts({ kinds, action, with: texts }: Pick<PiiConfig, 'kinds' | 'action' | 'with'>, place: string): void {
  const whole = action === 'drop' ? 'documents are dropped' : action === 'route' ? 'documents are routed' : undefined
  const unused = Object.keys(texts).find((kind) => whole !== undefined || !kinds.includes(kind as Kind))
  if (unused === undefined) return
  const why = whole ?? `'${unused}' is not among the kinds`
  throw new GristmillError('GM_CONFIG', `${place}.with: nothing is put in place of '${unused}': ${why}`, {
    hint: whole === undefined ? 'add it to `kinds`, or leave it out' : 'leave out `with`, or choose another action',
  })
}
