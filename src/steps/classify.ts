/**
 * Scores each text with a fastText classifier, and keeps those that score well.
 *
 * The way DCLM chooses its documents (Li et al. 2024, arXiv:2406.11794, section 4.4): a classifier of two labels,
 * and a threshold on the score of one of them. Languages are for `language.ts`.
 */
import { z } from 'zod'
import { type ClassifierPayload, openClassifier, prepareClassifier } from './classifier-model.js'
import { defineMapStep } from './step.js'

const ClassifyConfig = z
  .strictObject({
    model: z.string().describe('fastText classifier, .bin or .ftz; relative to the pipeline file'),
    label: z
      .string()
      .optional()
      .describe('label whose score is taken, without __label__; the best label of each document when left out'),
    keep: z.array(z.string()).min(1).optional().describe('documents whose best label is none of these are removed'),
    minScore: z.number().min(0).max(1).optional().describe('documents with a lower score are removed, 0 to 1'),
    mode: z.enum(['annotate', 'remove']).default('remove').describe('`annotate` sets the columns and removes nothing'),
    column: z.string().default('text').describe('column to read'),
    labelColumn: z.string().default('label').describe('column that gets the best label'),
    scoreColumn: z.string().default('score').describe('column that gets the score'),
  })
  .readonly()

export type ClassifyConfig = z.infer<typeof ClassifyConfig>

export const classify = defineMapStep<ClassifyConfig, ClassifierPayload>({
  name: 'classify',
  summary: 'scores each document with a fastText classifier and keeps those that score well',
  example: '- classify: { model: ./quality.bin, label: hq, minScore: 0.018 }',
  config: ClassifyConfig,

  async prepare({ model, label, keep, minScore, mode, column, labelColumn, scoreColumn }, context) {
    const rules =
      mode === 'remove' ? { ...(keep && { keep: [...keep] }), ...(minScore !== undefined && { minScore }) } : {}
    return prepareClassifier(
      model,
      { column, labelColumn, scoreColumn, ...(label !== undefined && { label }), ...rules },
      context,
    )
  },

  open: openClassifier,
})
