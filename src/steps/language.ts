/**
 * Identifies the language of each text with a fastText model, and keeps the wanted ones.
 *
 * The model is a file of the user's, as `lid.176.ftz` (Joulin et al. 2016, arXiv:1607.01759); nothing is
 * downloaded. Other fastText models are for `classify.ts`, which works alike.
 */
import { z } from 'zod'
import { type ClassifierPayload, openClassifier, prepareClassifier } from './classifier-model.js'
import { defineMapStep } from './step.js'

/** Least score of a language: RefinedWeb, Penedo et al. 2023, arXiv:2306.01116, appendix G.1; FineWeb takes the same. */
const REFINED_WEB_MIN_SCORE = 0.65

const LanguageConfig = z
  .strictObject({
    model: z.string().describe('fastText model, .bin or .ftz, as in lid.176.ftz; relative to the pipeline file'),
    keep: z
      .array(z.string())
      .min(1)
      .optional()
      .describe('languages to keep, by the labels of the model without __label__, as in [en, zh]; all when left out'),
    minScore: z
      .number()
      .min(0)
      .max(1)
      .default(REFINED_WEB_MIN_SCORE)
      .describe('least score of the language, 0 to 1; documents below it are removed'),
    mode: z.enum(['annotate', 'remove']).default('remove').describe('`annotate` sets the columns and removes nothing'),
    column: z.string().default('text').describe('column to read'),
    labelColumn: z.string().default('lang').describe('column that gets the language'),
    scoreColumn: z.string().default('lang_score').describe('column that gets its score'),
  })
  .readonly()

export type LanguageConfig = z.infer<typeof LanguageConfig>

export const language = defineMapStep<LanguageConfig, ClassifierPayload>({
  name: 'language',
  summary: 'identifies the language of each document and keeps the wanted ones',
  example: '- language: { model: ./lid.176.ftz, keep: [en, zh], minScore: 0.65 }',
  config: LanguageConfig,

  async prepare({ model, keep, minScore, mode, column, labelColumn, scoreColumn }, context) {
    const rules = mode === 'remove' ? { ...(keep && { keep: [...keep] }), minScore } : {}
    return prepareClassifier(model, { column, labelColumn, scoreColumn, ...rules }, context)
  },

  open: openClassifier,
})
