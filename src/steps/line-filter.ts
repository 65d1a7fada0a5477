/**
 * RefinedWeb's line-wise corrections: Penedo et al. 2023, arXiv:2306.01116, appendix G.2. The paper names the rules;
 * thresholds and words are those of DCLM's reproduction (Li et al. 2024, arXiv:2406.11794).
 *
 * A line is cut by the first rule it fails, in the order of the options; phrases are taken out of short lines. A
 * document that loses too many of its words is removed; else the edits are recorded. In `annotate` mode the text
 * stays as it is.
 */
import { z } from 'zod'
import { commonOptions, defineQualityFilter, languageOptions, limit, wordOptions } from './quality-filter.js'

/** DCLM's list of what is counted. */
const COUNTED = [
  'likes',
  'shares',
  'comments',
  'retweets',
  'reposts',
  'quotes',
  'bookmarks',
  'upvotes',
  'downvotes',
  'downloads',
  'views',
  'followers',
]

const phrases = (fallback: readonly string[], description: string) =>
  z
    .array(z.string().min(1))
    .default([...fallback])
    .describe(description)

const LineFilterConfig = z
  .strictObject({
    maxUppercase: limit(0.5, 'cut lines with a larger share of upper-case characters'),
    numbers: z.boolean().default(true).describe('cut lines of digits alone'),
    counters: phrases(COUNTED, 'cut lines of a number and one of these words, as in 3 likes'),
    minWords: z.int().min(0).nullable().default(2).describe('cut lines with fewer words'),
    phrases: phrases(['items in cart'], 'take these out of short lines'),
    suffixes: phrases(['read more...'], 'take these away from the end of short lines'),
    prefixes: phrases(['sign-in'], 'take these away from the start of short lines'),
    shortLine: z.int().min(0).default(10).describe('a line of at most so many words is short'),
    maxRemovedWords: limit(0.05, 'largest share of words that a document may lose'),
    ...wordOptions,
    ...languageOptions,
    ...commonOptions,
  })
  .readonly()

export type LineFilterConfig = z.infer<typeof LineFilterConfig>

export const lineFilter = defineQualityFilter<LineFilterConfig>({
  name: 'line-filter',
  summary: 'cuts lines by RefinedWeb’s rules (capitals, counters, single words) and documents that lose much by it',
  example: '- line-filter: { maxRemovedWords: 0.05 }',
  config: LineFilterConfig,
  byLanguage: true,

  limits: ({ maxRemovedWords }) => ({ limits: { maxRemovedWords, minLines: 1 } }),

  filter: (config) => ({
    maxUppercase: config.maxUppercase,
    numbers: config.numbers,
    counters: config.counters,
    minWords: config.minWords,
    phrases: config.phrases,
    suffixes: config.suffixes,
    prefixes: config.prefixes,
    shortLine: config.shortLine,
  }),

  measures: () => [
    ['removed_words', 'float64'],
    ...[
      'lines',
      'uppercase_lines',
      'number_lines',
      'counter_lines',
      'short_lines',
      'phrases',
      'suffixes',
      'prefixes',
    ].map((name) => [name, 'int64'] as const),
  ],
})
