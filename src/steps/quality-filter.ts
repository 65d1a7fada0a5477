/**
 * What the steps of published heuristics share: their common options, and the choice of limits by language.
 *
 * The rules and their order are the kernels' (crates/kernels/src/quality); defaults are each step's own.
 */
import { z } from 'zod'
import { GristmillError } from '../core/errors.js'
import type { Columns, ColumnType } from '../kernels/batch.js'
import { type FilterSettings, type LanguageSets, type LimitSet, QualityFilter } from '../kernels/quality.js'
import { checkText, withColumns } from './columns.js'
import { type PublishedLimits, publishedLimits } from './published-limits.js'
import { type MapStep, type PrepareContext, defineMapStep } from './step.js'

const LANGUAGE_COLUMN = 'lang'

/** Options every filter has. */
export const commonOptions = {
  mode: z
    .enum(['remove', 'annotate'])
    .default('remove')
    .describe('remove the rows that fail a rule, or keep all and add what was measured as columns'),
  column: z.string().default('text').describe('column to look at'),
}

/** Options of filters that look at words. */
export const wordOptions = {
  words: z
    .enum(['unicode', 'whitespace'])
    .default('unicode')
    .describe('words are segments of UAX #29 that hold a letter or digit, or what white space separates'),
}

/** Options of filters whose limits depend on the language. */
export const languageOptions = {
  languageColumn: z
    .string()
    .optional()
    .describe(`column with the language of each row, as in de or deu_Latn; ${LANGUAGE_COLUMN} where there is one`),
  language: z.string().optional().describe('the language of all rows, whatever a column says'),
}

/** A limit that has one value for all languages. */
export function limit(fallback: number, description: string) {
  return z.number().min(0).nullable().default(fallback).describe(description)
}

/** What was stated, null included, else the language's limit. */
export function orElse(stated: number | null | undefined, fallback: number | null): number | null {
  return stated === undefined ? fallback : stated
}

/** A limit that is chosen by language where it is not stated. */
export function limitByLanguage(english: number, description: string) {
  const said = `${description}; ${english} for English, others as FineWeb-2 has it`
  return z.number().min(0).nullable().optional().describe(said)
}

/** Limits by the length of the n-gram. */
export function limitsByLength(description: string) {
  return z
    .record(z.string().regex(/^([1-9]|[1-5]\d|6[0-4])$/u, 'the length of an n-gram is from 1 to 64'), z.number().min(0))
    .optional()
    .describe(description)
}

/** A language's published limits, or what stands in where there are none. */
export type LanguageLimits = 'english' | 'other' | PublishedLimits

export interface CommonConfig {
  readonly mode: 'remove' | 'annotate'
  readonly column: string
  /** How words are cut, as `wordOptions` has it; a list of words for `url-filter`, which cuts none. */
  readonly words?: unknown
  readonly languageColumn?: string | undefined
  readonly language?: string | undefined
}

export interface QualityPayload {
  readonly settings: FilterSettings
  readonly filter: unknown
}

export interface QualityDefinition<Config> {
  readonly name: string
  readonly summary: string
  readonly example: string
  readonly config: z.ZodType<Config>
  /** The limits of a language. Called with 'english' alone where no rule depends on the language. */
  limits(config: Config, language: LanguageLimits): LimitSet
  readonly byLanguage: boolean
  /** Sets of limits and how a row's is chosen, where they are not FineWeb-2's. */
  sets?(config: Config, context: PrepareContext): Pick<FilterSettings, 'languages' | 'sets'>
  /** Options of the kernel besides the common ones. */
  filter(config: Config, context: PrepareContext): object | null
  /** Columns of the measures, as the kernel names them, in its order. */
  measures(config: Config): readonly (readonly [name: string, type: 'int64' | 'float64'])[]
  /** Refuses a configuration that cannot be meant. */
  check?(config: Config, place: string): void
}

/** A map step around a filter of the kernels. */
export function defineQualityFilter<Config extends CommonConfig>(
  definition: QualityDefinition<Config>,
): MapStep<Config, QualityPayload> {
  const { name, summary, example, config: schema } = definition
  const prefix = `${name.replaceAll('-', '_')}_`
  return defineMapStep<Config, QualityPayload>({
    name,
    summary,
    example,
    config: schema,

    async prepare(config, context) {
      const { column, mode, words } = config
      checkText(column, context)
      definition.check?.(config, context.place)
      const settings: FilterSettings = {
        column,
        annotate: mode === 'annotate',
        prefix,
        whitespaceWords: words === 'whitespace',
        ...(definition.sets?.(config, context) ?? publishedSets(config, context, definition)),
      }
      const filter = definition.filter(config, context)
      const { contentHash } = openFilter(name, settings, filter, context.place)
      return {
        columns: columnsAfter(context.columns, prefix, config, definition),
        identity: contentHash,
        payload: { settings, filter: contentHash === null ? filter : { ...filter, contentHash } },
      }
    },

    open({ settings, filter }, { removed, edits, step }) {
      const kernel = new QualityFilter(name, settings, filter)
      return {
        run(batch) {
          kernel.run(batch, { removed, edits, step })
          return undefined
        },
        [Symbol.dispose]() {},
      }
    },

    measure: ({ settings, filter }, batch) =>
      new QualityFilter(name, settings, filter).held(batch, 0).map(({ name: rule, ...held }) => ({ rule, ...held })),
  })
}

/** Opens a filter to find out what is wrong with its options, and with the files they name. */
function openFilter(name: string, settings: FilterSettings, filter: object | null, place: string): QualityFilter {
  try {
    return new QualityFilter(name, settings, filter)
  } catch (cause) {
    if (!(cause instanceof GristmillError)) throw cause
    throw new GristmillError(cause.code, `${place}: ${cause.message}`, { hint: cause.hint, cause })
  }
}

/** Limits as FineWeb-2 published them, by language; those of the papers alone where no rule depends on it. */
function publishedSets<Config extends CommonConfig>(
  config: Config,
  context: PrepareContext,
  { byLanguage, limits }: QualityDefinition<Config>,
): Pick<FilterSettings, 'languages' | 'sets'> {
  if (!byLanguage) return { sets: [limits(config, 'english')] }
  const languages: readonly LanguageLimits[] = ['english', 'other', ...publishedLimits.values()]
  return { languages: languageSets(config, context), sets: languages.map((language) => limits(config, language)) }
}

function columnsAfter<Config extends CommonConfig>(
  columns: Columns,
  prefix: string,
  config: Config,
  { measures }: QualityDefinition<Config>,
): Columns {
  if (config.mode === 'remove') return columns
  const measured = [...measures(config), ['rule', 'string'] as const]
  return withColumns(
    columns,
    measured.map(([name, type]) => ({ name: `${prefix}${name}`, type: type as ColumnType })),
  )
}

/** English is set 0, languages without published limits are set 1, the others follow. */
function languageSets(config: CommonConfig, context: PrepareContext): LanguageSets {
  const codes: Record<string, number> = {}
  for (const code of codesOf('en')) codes[code] = 0
  let set = 2
  for (const short of publishedLimits.keys()) {
    for (const code of codesOf(short)) codes[code] = set
    set += 1
  }
  return { ...languageOf(config, context), codes, latin: 0, other: 1 }
}

/** Where the language of a row is found. */
export function languageOf(
  { languageColumn, language }: Pick<CommonConfig, 'languageColumn' | 'language'>,
  context: PrepareContext,
): Pick<LanguageSets, 'column' | 'fixed'> {
  if (languageColumn !== undefined) checkText(languageColumn, context)
  const known = context.columns.some(({ name, type }) => name === LANGUAGE_COLUMN && type === 'string')
  return { column: languageColumn ?? (known ? LANGUAGE_COLUMN : undefined), fixed: language }
}

/** All codes of a language, lower-case, as in de, deu and deu_latn, by any of them. */
export function codesOf(language: string): readonly string[] {
  const code = language.toLowerCase()
  return CODES.find((codes) => codes.includes(code)) ?? [code]
}

const CODES = [
  ['en', 'eng_Latn'] as const,
  ...[...publishedLimits].map(([short, { code }]) => [short, code] as const),
].map(([short, code]) => [short, code.slice(0, 3), code.toLowerCase()])

/** Refuses a least share that no document reaches, as a percentage taken for a share. */
export function checkShare(place: string, name: string, share: number | null | undefined): void {
  if (typeof share === 'number' && share > 1) {
    throw new GristmillError('GM_CONFIG', `${place}: ${name} ${share} is a share above 1`, {
      hint: `no document could stay; shares are from 0 to 1, so ${share} % is ${share / 100}`,
    })
  }
}

/** Refuses limits of which the lower is above the upper. */
export function checkRange(
  place: string,
  [lowerName, lower]: readonly [string, number | null | undefined],
  [upperName, upper]: readonly [string, number | null | undefined],
): void {
  if (typeof lower === 'number' && typeof upper === 'number' && lower > upper) {
    throw new GristmillError('GM_CONFIG', `${place}: ${lowerName} ${lower} is above ${upperName} ${upper}`, {
      hint: 'no document could stay; null switches a rule off',
    })
  }
}
