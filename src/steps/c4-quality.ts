/**
 * C4's rules: Raffel et al. 2020, JMLR 21(140), section 2.2, with the two that its published code adds (long words,
 * policies).
 *
 * Lines are cut by the first rule they fail, in the order of the options, and the text that is left is tidied at its
 * ends. Edits to rows that stay are recorded; a row that leaves has one record, not its edits. In `annotate` mode
 * the text stays as it is.
 */
import { z } from 'zod'
import { commonOptions, defineQualityFilter, limit } from './quality-filter.js'

const rule = (description: string) => z.boolean().default(true).describe(description)

const C4QualityConfig = z
  .strictObject({
    maxWordLength: limit(1000, 'cut lines with a word of more code points'),
    removeCitations: rule('take away [1], [edit] and [citation needed]'),
    terminalPunctuation: rule('cut lines that do not end with . ? ! " or \', and those that end with ...'),
    minWordsPerLine: limit(3, 'cut lines with fewer words, by white space'),
    loremIpsum: rule('remove documents with “lorem ipsum” in a line that was not cut'),
    javascript: rule('cut lines with “javascript”'),
    curlyBracket: rule('remove documents with { in a line that was not cut'),
    policy: rule('cut lines that speak of terms of use, privacy policies or cookies'),
    minSentences: limit(5, 'remove documents with fewer sentences left'),
    by: z.enum(['line', 'sentence']).default('line').describe('what is cut: lines, or sentences, joined by a space'),
    ...commonOptions,
  })
  .readonly()

export type C4QualityConfig = z.infer<typeof C4QualityConfig>

export const c4Quality = defineQualityFilter<C4QualityConfig>({
  name: 'c4-quality',
  summary: 'cuts lines and removes documents by C4’s rules: punctuation, short lines, boilerplate, sentences',
  example: '- c4-quality: { terminalPunctuation: false, minSentences: 3 }',
  config: C4QualityConfig,
  byLanguage: false,

  limits: ({ loremIpsum, curlyBracket, minSentences }) => ({
    limits: { loremIpsum: loremIpsum ? 0 : null, curlyBracket: curlyBracket ? 0 : null, minSentences },
  }),

  filter: (config) => ({
    sentences: config.by === 'sentence',
    removeCitations: config.removeCitations,
    terminalPunctuation: config.terminalPunctuation,
    minWordsPerLine: config.minWordsPerLine,
    maxWordLength: config.maxWordLength,
    loremIpsum: config.loremIpsum,
    javascript: config.javascript,
    curlyBracket: config.curlyBracket,
    policy: config.policy,
  }),

  measures: () =>
    [
      'lorem_ipsum',
      'curly_brackets',
      'sentences',
      'long_word_lines',
      'citations',
      'unpunctuated_lines',
      'short_lines',
      'javascript_lines',
      'policy_lines',
    ].map((name) => [name, 'int64'] as const),
})
