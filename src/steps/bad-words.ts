/**
 * Removes documents that hold listed words: C4 (Raffel et al. 2020, JMLR 21(140), section 2.2), and mC4 for languages
 * other than English. The lists are the user's; none comes with the package.
 *
 * A row is held against the list of its language. A row without a language is held against `en`, a row in a language
 * without a list against none; the list `*` is for all rows.
 */
import { z } from 'zod'
import type { LimitSet } from '../kernels/quality.js'
import { type KernelList, kernelList, listOption } from './list-option.js'
import { codesOf, commonOptions, defineQualityFilter, languageOf, languageOptions, limit } from './quality-filter.js'

const ALL = '*'

const BadWordsConfig = z
  .strictObject({
    lists: z
      .record(z.string().min(1), listOption)
      .refine((lists) => Object.keys(lists).length > 0, 'there is no list')
      .describe(
        'words or phrases by language: a file with one a line, relative to the pipeline file, or the words; * is for all',
      ),
    maxMatches: limit(0, 'most listed words that a document may hold'),
    ...languageOptions,
    ...commonOptions,
  })
  .readonly()

export type BadWordsConfig = z.infer<typeof BadWordsConfig>

export const badWords = defineQualityFilter<BadWordsConfig>({
  name: 'bad-words',
  summary: 'removes documents that hold words of your lists, by language',
  example: '- bad-words: { lists: { en: [darn, heck], zh: [笨蛋] } }',
  config: BadWordsConfig,
  byLanguage: true,

  limits,

  sets(config, context) {
    const languages = languagesOf(config)
    const codes: Record<string, number> = {}
    // A code that was stated itself wins over what another list's language is also called.
    for (const [set, language] of languages.entries()) for (const code of codesOf(language)) codes[code] = set
    for (const [set, language] of languages.entries()) codes[language.toLowerCase()] = set
    const none = languages.length
    return {
      languages: { ...languageOf(config, context), codes, latin: codes['en'] ?? none, other: none },
      sets: [...languages, none].map(() => limits(config)),
    }
  },

  filter(config, context) {
    const lists: KernelList[] = []
    const indexOf = (language: string): number =>
      lists.push(kernelList(config.lists[language]!, `lists.${language}`, context)) - 1
    const all = config.lists[ALL] === undefined ? [] : [indexOf(ALL)]
    const sets = languagesOf(config).map((language) => [indexOf(language), ...all])
    return { lists, sets: [...sets, all] }
  },

  measures: () => [['matches', 'int64']],
})

const languagesOf = ({ lists }: BadWordsConfig): string[] => Object.keys(lists).filter((language) => language !== ALL)

function limits({ maxMatches }: BadWordsConfig): LimitSet {
  return { limits: { maxMatches } }
}
