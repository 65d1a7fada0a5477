/**
 * Removes rows by the address they came from: RefinedWeb (Penedo et al. 2023, arXiv:2306.01116, appendix G.1), with the
 * rules of datatrove in its order. The lists are the user's; none comes with the package.
 *
 * A row without an address stays.
 */
import { z } from 'zod'
import { type KernelList, kernelList, listOption } from './list-option.js'
import { commonOptions, defineQualityFilter, limit } from './quality-filter.js'

const LISTS = ['domains', 'urls', 'words', 'softWords', 'substrings'] as const

const list = (description: string) =>
  listOption.optional().describe(`${description}; a file with one a line, relative to the pipeline file, or a list`)

const UrlFilterConfig = z
  .strictObject({
    domains: list('domains; all below them are meant, too'),
    urls: list('whole addresses'),
    words: list('words that may not stand between characters that are no letters or digits'),
    softWords: list('words of which only few may stand there'),
    maxSoftWords: limit(1, 'most different soft words of an address'),
    substrings: list('what may not occur among the letters and digits, all others left out'),
    mode: commonOptions.mode,
    column: z.string().default('url').describe('column with the address'),
  })
  .refine((config) => LISTS.some((name) => config[name] !== undefined), {
    error: `there is no list: state ${LISTS.join(', ')} or several`,
  })
  .readonly()

export type UrlFilterConfig = z.infer<typeof UrlFilterConfig>

export const urlFilter = defineQualityFilter<UrlFilterConfig>({
  name: 'url-filter',
  summary: 'removes rows by the address they came from: domains, words and substrings of your lists',
  example: '- url-filter: { domains: [spam.example], words: [casino] }',
  config: UrlFilterConfig,
  byLanguage: false,

  limits: ({ maxSoftWords }) => ({ limits: { domains: 0, urls: 0, words: 0, maxSoftWords, substrings: 0 } }),

  filter(config, context) {
    const lists: Record<string, KernelList | null> = {}
    for (const name of LISTS) {
      const given = config[name]
      lists[name] = given === undefined ? null : kernelList(given, name, context)
    }
    return lists
  },

  measures: () => ['domains', 'urls', 'words', 'soft_words', 'substrings'].map((name) => [name, 'int64'] as const),
})
