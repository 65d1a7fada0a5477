/**
 * Gopher's quality rules: Rae et al. 2021, arXiv:2112.11446, appendix A1.1.
 *
 * Rules are judged in the order of the options; the first that fails is recorded. A measure of nothing, as the
 * mean length of no words, fails no rule. In `annotate` mode all measures become columns.
 */
import { z } from 'zod'
import { GristmillError } from '../core/errors.js'
import {
  type LanguageLimits,
  checkRange,
  checkShare,
  commonOptions,
  defineQualityFilter,
  languageOptions,
  limit,
  limitByLanguage,
  orElse,
  wordOptions,
} from './quality-filter.js'

/** The eight words of appendix A1.1. */
const STOP_WORDS = ['the', 'be', 'to', 'of', 'and', 'that', 'have', 'with']

const GopherQualityConfig = z
  .strictObject({
    minWords: limit(50, 'fewest words'),
    maxWords: limit(100_000, 'most words'),
    minMeanWordLength: limitByLanguage(3, 'shortest mean word length, in code points'),
    maxMeanWordLength: limitByLanguage(10, 'longest mean word length, in code points'),
    maxHashRatio: limit(0.1, 'most # for each word'),
    maxEllipsisRatio: limit(0.1, 'most ellipses (... or …) for each word'),
    maxBulletLines: limit(0.9, 'largest share of lines that begin with • or -'),
    maxEllipsisLines: limit(0.3, 'largest share of lines that end with an ellipsis'),
    minAlphabeticWords: limitByLanguage(0.8, 'smallest share of words with a letter'),
    minStopWords: limit(2, 'fewest different stop words'),
    stopWords: z
      .array(z.string().min(1))
      .optional()
      .describe(`words every text should hold; for English ${STOP_WORDS.join(', ')}, others as FineWeb-2 has it`),
    ...wordOptions,
    ...languageOptions,
    ...commonOptions,
  })
  .readonly()

export type GopherQualityConfig = z.infer<typeof GopherQualityConfig>

export const gopherQuality = defineQualityFilter<GopherQualityConfig>({
  name: 'gopher-quality',
  summary: 'removes documents by Gopher’s quality rules: word counts, symbols, bullets, stop words',
  example: '- gopher-quality: { minWords: 50, minStopWords: 2 }',
  config: GopherQualityConfig,
  byLanguage: true,

  limits(config, language) {
    const { minWords, maxWords, maxHashRatio, maxEllipsisRatio, maxBulletLines, maxEllipsisLines } = config
    const all = { minWords, maxWords, maxHashRatio, maxEllipsisRatio, maxBulletLines, maxEllipsisLines }
    const [shortest, longest, alphabetic, words] = ownLimits(language)
    // Where no stop words are known the rule would remove everything.
    const stopWords = config.stopWords ?? words
    return {
      limits: {
        ...all,
        minMeanWordLength: orElse(config.minMeanWordLength, shortest),
        maxMeanWordLength: orElse(config.maxMeanWordLength, longest),
        minAlphabeticWords: orElse(config.minAlphabeticWords, alphabetic),
        minStopWords: stopWords.length === 0 ? null : config.minStopWords,
      },
      stopWords,
    }
  },

  filter: () => null,

  measures: () => [
    ['words', 'int64'],
    ['mean_word_length', 'float64'],
    ['hash_ratio', 'float64'],
    ['ellipsis_ratio', 'float64'],
    ['bullet_lines', 'float64'],
    ['ellipsis_lines', 'float64'],
    ['alphabetic_words', 'float64'],
    ['stop_words', 'int64'],
  ],

  check(config, place) {
    checkRange(place, ['minWords', config.minWords], ['maxWords', config.maxWords])
    checkRange(place, ['minMeanWordLength', config.minMeanWordLength], ['maxMeanWordLength', config.maxMeanWordLength])
    checkShare(place, 'minAlphabeticWords', config.minAlphabeticWords)
    const different = new Set(config.stopWords).size
    if (different > 0 && different < (config.minStopWords ?? 0)) {
      throw new GristmillError(
        'GM_CONFIG',
        `${place}: minStopWords ${config.minStopWords} is more than there are stopWords (${different} different ones)`,
        { hint: 'no document could stay; list more words, or lower minStopWords' },
      )
    }
  },
})

type OwnLimits = readonly [number | null, number | null, number | null, readonly string[]]

/** Mean word length, share of alphabetic words, stop words. */
function ownLimits(language: LanguageLimits): OwnLimits {
  if (language === 'english') return [3, 10, 0.8, STOP_WORDS]
  if (language === 'other') return [null, null, null, []]
  return [language.minMeanWordLength, language.maxMeanWordLength, language.minAlphabeticWords, language.stopWords]
}
