/**
 * The rules that FineWeb added to Gopher's and C4's: Penedo et al. 2024, arXiv:2406.17557, section 3.6.
 *
 * Lines are what line feeds separate, blank ones left out. Rules are judged in the order of the options; the first
 * that fails is recorded.
 */
import { z } from 'zod'
import {
  checkShare,
  commonOptions,
  defineQualityFilter,
  languageOptions,
  limitByLanguage,
  orElse,
  wordOptions,
} from './quality-filter.js'

const FinewebQualityConfig = z
  .strictObject({
    minTerminalLines: limitByLanguage(0.12, 'smallest share of lines that end with terminal punctuation'),
    allowNoneTerminal: z
      .boolean()
      .default(false)
      .describe('let documents stay of which no line at all ends with terminal punctuation'),
    terminalPunctuation: z
      .string()
      .min(1)
      .optional()
      .describe('characters that count as terminal punctuation; those of all scripts when left out'),
    maxShortLines: z
      .number()
      .min(0)
      .nullable()
      .optional()
      .describe('largest share of short lines; 0.67 for English, off for others as FineWeb-2 has it'),
    shortLineLength: z.int().min(0).default(30).describe('a line of at most so many code points is short'),
    maxDuplicateLineCharacters: z
      .number()
      .min(0)
      .nullable()
      .optional()
      .describe('largest share of code points in lines that repeat an earlier one; 0.01 for English, 0.1 for others'),
    maxLineFeeds: limitByLanguage(0.3, 'most line feeds for each word'),
    ...wordOptions,
    ...languageOptions,
    ...commonOptions,
  })
  .readonly()

export type FinewebQualityConfig = z.infer<typeof FinewebQualityConfig>

export const finewebQuality = defineQualityFilter<FinewebQualityConfig>({
  name: 'fineweb-quality',
  summary: 'removes documents by FineWeb’s rules: line punctuation, short lines, repeated lines, lists',
  example: '- fineweb-quality: { minTerminalLines: 0.12 }',
  config: FinewebQualityConfig,
  byLanguage: true,

  limits(config, language) {
    const english = language === 'english'
    const published = language === 'english' || language === 'other' ? undefined : language
    return {
      limits: {
        minLines: 1,
        minTerminalLines: orElse(config.minTerminalLines, english ? 0.12 : (published?.minTerminalLines ?? null)),
        maxShortLines: orElse(config.maxShortLines, english ? 0.67 : null),
        maxDuplicateLineCharacters: orElse(config.maxDuplicateLineCharacters, english ? 0.01 : 0.1),
        maxLineFeeds: orElse(config.maxLineFeeds, english ? 0.3 : (published?.maxLineFeeds ?? null)),
      },
    }
  },

  filter: ({ shortLineLength, terminalPunctuation, allowNoneTerminal }) => ({
    shortLineLength,
    terminalPunctuation: terminalPunctuation ?? null,
    allowNoneTerminal,
  }),

  check: ({ minTerminalLines }, place) => checkShare(place, 'minTerminalLines', minTerminalLines),

  measures: () => [
    ['lines', 'int64'],
    ['terminal_lines', 'float64'],
    ['short_lines', 'float64'],
    ['duplicate_line_characters', 'float64'],
    ['line_feeds', 'float64'],
  ],
})
