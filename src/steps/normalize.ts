/**
 * Normalises text: HTML entities, Unicode form, control characters, white space, in this order.
 *
 * 1. `html: unescape` replaces entities once over, as a browser does in text: every named one of HTML 5,
 *    decimal and hexadecimal numbers, also where the semicolon is missing and HTML allows it.
 * 2. `unicode` brings the text into a normalisation form (UAX #15).
 * 3. `controls` removes C0, C1 and DEL or puts a space in place of each. Tab and line feed stay; carriage
 *    return, with a line feed after it as one, and U+0085 become line feeds.
 * 4. `whitespace` makes every line end a line feed; of a run of spaces and tabs one space stays (a lone tab
 *    stays a tab), at the end of a line none; of a run of line feeds two stay; both ends of the text are
 *    trimmed. Other white space, as the no-break space, is left alone. Not meant for code: indentation goes.
 *
 * Null stays null. It changes text only; rows that are empty now are for `filter.ts` to remove.
 */
import { z } from 'zod'
import { type NormalizeOptions, normalizeText } from '../kernels/text.js'
import { GristmillError } from '../core/errors.js'
import { findColumn } from './columns.js'
import { defineMapStep } from './step.js'

const NormalizeConfig = z
  .strictObject({
    unicode: z
      .enum(['NFC', 'NFD', 'NFKC', 'NFKD', 'none'])
      .default('NFC')
      .describe('Unicode normalisation form; NFKC and NFKD also replace compatibility characters, as in ﬁ'),
    whitespace: z
      .boolean()
      .default(false)
      .describe('tidies white space: one space of a run, none at line ends, two line feeds of a run'),
    controls: z
      .enum(['keep', 'strip', 'space'])
      .default('keep')
      .describe('control characters but tab and line feed: kept, removed, or each replaced by a space'),
    html: z.enum(['keep', 'unescape']).default('keep').describe('HTML entities, as in &amp;: kept or replaced'),
    column: z.string().default('text').describe('column to normalise'),
  })
  .readonly()

export type NormalizeConfig = z.infer<typeof NormalizeConfig>

export interface NormalizePayload {
  readonly column: string
  readonly options: NormalizeOptions
}

export const normalize = defineMapStep<NormalizeConfig, NormalizePayload>({
  name: 'normalize',
  summary: 'brings text into one form: entities, Unicode, control characters, white space',
  example: '- normalize: { unicode: NFC, whitespace: true, controls: strip, html: unescape }',
  config: NormalizeConfig,

  async prepare({ unicode, whitespace, controls, html, column }, { columns, place }) {
    const { type } = findColumn(columns, column, place)
    if (type !== 'string') {
      throw new GristmillError('GM_COLUMN_TYPE', `${place}: column '${column}' is ${type}, not text`)
    }
    const options: NormalizeOptions = { unescapeHtml: html === 'unescape', form: unicode, controls, whitespace }
    return { columns, identity: null, payload: { column, options } }
  },

  open: ({ column, options }) => ({
    run(batch) {
      normalizeText(batch, column, options)
      return undefined
    },
    [Symbol.dispose]() {},
  }),
})
