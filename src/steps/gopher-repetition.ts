/**
 * Gopher's repetition rules: Rae et al. 2021, arXiv:2112.11446, table A1.
 *
 * Rules are judged in the order of datatrove: paragraphs, lines, most frequent n-grams, duplicate n-grams; the first
 * that fails is recorded. Shares are of the code points of the text.
 */
import { z } from 'zod'
import {
  commonOptions,
  defineQualityFilter,
  languageOptions,
  limitByLanguage,
  limitsByLength,
  orElse,
  wordOptions,
} from './quality-filter.js'

/** Table A1: by the length of the n-gram. */
const TOP_NGRAMS: Readonly<Record<string, number>> = { 2: 0.2, 3: 0.18, 4: 0.16 }
const DUPLICATE_NGRAMS: Readonly<Record<string, number>> = { 5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.1 }

const PARAGRAPHS = 'off outside English, as FineWeb-2 has it'

const GopherRepetitionConfig = z
  .strictObject({
    maxDuplicateParagraphs: z
      .number()
      .min(0)
      .nullable()
      .optional()
      .describe(`largest share of paragraphs that repeat an earlier one; 0.3, ${PARAGRAPHS}`),
    maxDuplicateParagraphCharacters: z
      .number()
      .min(0)
      .nullable()
      .optional()
      .describe(`largest share of code points in such paragraphs; 0.2, ${PARAGRAPHS}`),
    maxDuplicateLines: limitByLanguage(0.3, 'largest share of lines that repeat an earlier one'),
    maxDuplicateLineCharacters: z
      .number()
      .min(0)
      .nullable()
      .optional()
      .describe(`largest share of code points in such lines; 0.2, ${PARAGRAPHS}`),
    topNgrams: limitsByLength(
      `by n, largest share of code points in the most frequent n-gram; ${shown(TOP_NGRAMS)} for English, others as FineWeb-2 has it`,
    ),
    duplicateNgrams: limitsByLength(
      `by n, largest share of code points in n-grams that occurred before; ${shown(DUPLICATE_NGRAMS)} for English, others as FineWeb-2 has it`,
    ),
    ...wordOptions,
    ...languageOptions,
    ...commonOptions,
  })
  .readonly()

export type GopherRepetitionConfig = z.infer<typeof GopherRepetitionConfig>

export const gopherRepetition = defineQualityFilter<GopherRepetitionConfig>({
  name: 'gopher-repetition',
  summary: 'removes documents by Gopher’s repetition rules: lines, paragraphs and n-grams that repeat',
  example: '- gopher-repetition: { maxDuplicateLines: 0.3 }',
  config: GopherRepetitionConfig,
  byLanguage: true,

  limits(config, language) {
    const isEnglish = language === 'english' || language === 'other'
    const published = isEnglish ? undefined : language
    const limits: Record<string, number | null> = {
      minCharacters: 1,
      maxDuplicateParagraphs: orElse(config.maxDuplicateParagraphs, isEnglish ? 0.3 : null),
      maxDuplicateParagraphCharacters: orElse(config.maxDuplicateParagraphCharacters, isEnglish ? 0.2 : null),
      maxDuplicateLines: orElse(config.maxDuplicateLines, published?.maxDuplicateLines ?? 0.3),
      maxDuplicateLineCharacters: orElse(config.maxDuplicateLineCharacters, isEnglish ? 0.2 : null),
    }
    const top = config.topNgrams ?? byLength(2, published?.topNgrams) ?? TOP_NGRAMS
    for (const [n, limit] of Object.entries(top)) limits[`maxTop${n}Gram`] = limit
    const duplicate = config.duplicateNgrams ?? byLength(5, published?.duplicateNgrams) ?? DUPLICATE_NGRAMS
    for (const [n, limit] of Object.entries(duplicate)) limits[`maxDuplicate${n}Grams`] = limit
    return { limits }
  },

  filter: (config) => ({ topNgrams: topLengths(config), duplicateNgrams: duplicateLengths(config) }),

  measures: (config) => [
    ['characters', 'int64'],
    ['duplicate_paragraphs', 'float64'],
    ['duplicate_paragraph_characters', 'float64'],
    ['duplicate_lines', 'float64'],
    ['duplicate_line_characters', 'float64'],
    ...topLengths(config).map((n) => [`top_${n}_gram`, 'float64'] as const),
    ...duplicateLengths(config).map((n) => [`duplicate_${n}_grams`, 'float64'] as const),
  ],
})

const topLengths = ({ topNgrams }: GopherRepetitionConfig): number[] => Object.keys(topNgrams ?? TOP_NGRAMS).map(Number)

const duplicateLengths = ({ duplicateNgrams }: GopherRepetitionConfig): number[] =>
  Object.keys(duplicateNgrams ?? DUPLICATE_NGRAMS).map(Number)

/** Limits of successive lengths by their length. */
function byLength(first: number, limits: readonly number[] | undefined): Record<string, number> | undefined {
  return limits && Object.fromEntries(limits.map((limit, at) => [first + at, limit]))
}

function shown(limits: Readonly<Record<string, number>>): string {
  return Object.entries(limits)
    .map(([n, limit]) => `${n}: ${limit}`)
    .join(', ')
}
