/**
 * Counts rows, lengths and n-grams as they pass, over all rows and by the values of columns; changes nothing.
 *
 * Each task leaves what it counted (crates/kernels/src/stats), and the engine adds it up when all are done. The
 * n-grams are pieces of the texts, so they are counted only where they are asked for, and not before a step that
 * finds private data.
 */
import { z } from 'zod'
import { GristmillError } from '../core/errors.js'
import { mergeStats, StatsCollector, type StatsOptions } from '../kernels/stats.js'
import { checkText } from './columns.js'
import { languageOf, languageOptions, wordOptions } from './quality-filter.js'
import { defineMapStep, type PrepareContext } from './step.js'

/** Columns that say where a row comes from. */
const GROUPING = ['source', 'lang']
/** Words of the longest n-gram: those of decontamination have 13. */
const LONGEST_NGRAM = 20
const MOST_LISTED = 100_000

const StatsConfig = z
  .strictObject({
    by: z
      .array(z.string())
      .max(4)
      .optional()
      .describe('text columns by whose values the rows are grouped; source and lang where there are such columns'),
    ngrams: z
      .array(z.int().min(1).max(LONGEST_NGRAM))
      .max(5)
      .default([])
      .describe('lengths of n-grams to count, in words, as in [1, 2, 3]; they are pieces of the texts'),
    top: z.int().min(1).max(MOST_LISTED).default(100).describe('n-grams that are listed of each group and length'),
    column: z.string().default('text').describe('column to look at'),
    ...wordOptions,
    ...languageOptions,
  })
  .readonly()

export type StatsConfig = z.infer<typeof StatsConfig>

export const stats = defineMapStep<StatsConfig, StatsOptions>({
  name: 'stats',
  summary: 'counts documents, their lengths and n-grams, by source and language; changes nothing',
  example: '- stats: { ngrams: [1, 2], top: 20 }',
  config: StatsConfig,

  async prepare(config, context) {
    const { column, ngrams, top, words } = config
    checkText(column, context)
    const from = languageOf(config, context)
    const payload: StatsOptions = {
      column,
      by: groupingOf(config, context),
      ngrams: [...new Set(ngrams)].toSorted((a, b) => a - b),
      top,
      whitespaceWords: words === 'whitespace',
      languageColumn: from.column,
      language: from.fixed,
    }
    return { columns: context.columns, identity: null, payload }
  },

  open(payload) {
    const collector = new StatsCollector(payload)
    return {
      run(batch) {
        collector.add(batch)
        return undefined
      },
      finish: (file) => collector.finish(file),
      [Symbol.dispose]() {
        collector[Symbol.dispose]()
      },
    }
  },

  gather: async (payload, files, prefix) => mergeStats(files, payload, prefix),
  showsText: ({ ngrams, by, column }) => ngrams.length > 0 || by?.includes(column) === true,
})

/** Columns that are stated must be there; the usual ones are taken where they are. */
function groupingOf({ by }: StatsConfig, context: PrepareContext): string[] {
  if (by === undefined) {
    const isText = (name: string): boolean =>
      context.columns.some((column) => column.name === name && column.type === 'string')
    return GROUPING.filter(isText)
  }
  for (const name of by) checkText(name, context)
  if (new Set(by).size === by.length) return [...by]
  throw new GristmillError('GM_CONFIG', `${context.place}.by names a column twice`)
}
