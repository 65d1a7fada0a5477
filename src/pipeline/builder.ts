/**
 * The fluent interface: `jsonl('data/*.jsonl').filter(…).tokenize({ … }).write(megatron())`.
 *
 * Every method returns a new value; nothing runs before `run`. Row types flow through the chain: `map`
 * changes them, `select` and `drop` narrow them.
 */
import { fileURLToPath } from 'node:url'
import { PIPELINE, type PipelineDefinition, type UserFunction } from '../engine/pipeline.js'
import type { RunResult } from '../engine/run.js'
import type { Row } from '../kernels/rows.js'
import type { BadWordsConfig } from '../steps/bad-words.js'
import type { C4QualityConfig } from '../steps/c4-quality.js'
import type { ChunkConfig } from '../steps/chunk.js'
import type { ClassifyConfig } from '../steps/classify.js'
import type { DecontaminateConfig } from '../steps/decontaminate.js'
import type { EncodeConfig } from '../steps/encode.js'
import type { ExactDedupConfig } from '../steps/exact-dedup.js'
import type { LanguageConfig } from '../steps/language.js'
import type { MinhashDedupConfig } from '../steps/minhash-dedup.js'
import type { FinewebQualityConfig } from '../steps/fineweb-quality.js'
import type { GopherQualityConfig } from '../steps/gopher-quality.js'
import type { GopherRepetitionConfig } from '../steps/gopher-repetition.js'
import type { LineFilterConfig } from '../steps/line-filter.js'
import type { MissingConfig } from '../steps/missing.js'
import type { NormalizeConfig } from '../steps/normalize.js'
import type { PackConfig } from '../steps/pack.js'
import type { PiiConfig } from '../steps/pii.js'
import type { SampleConfig } from '../steps/sample.js'
import type { ScaleConfig } from '../steps/scale.js'
import type { ShuffleConfig } from '../steps/shuffle.js'
import type { StatsConfig } from '../steps/stats.js'
import type { TokenizeConfig } from '../steps/tokenize.js'
import type { UrlFilterConfig } from '../steps/url-filter.js'
import type { Explanation } from '../engine/explain.js'
import { explainPipeline, runPipeline, type ExplainOptions, type RunPipelineOptions } from './run.js'
import { checkPipeline, problemsError } from './schema.js'

/** A row before anything is known of its columns. */
export type AnyRow = Row & { readonly id: string; readonly text: string }

/** Options of a step; `guard: 'off'` lets it remove nearly all rows of a source or a language. */
type Options<Config> = Partial<Config> & { readonly guard?: 'on' | 'off' }

/** Options of every source; those of the format come on top. */
export interface SourceInput {
  readonly text?: string
  readonly id?: string
  readonly columns?: readonly string[]
  readonly types?: Readonly<Record<string, 'string' | 'int64' | 'float64' | 'boolean' | 'json'>>
  readonly where?: string
  readonly onMissing?: 'quarantine' | 'skip' | 'empty'
  readonly maxRecordBytes?: number
  readonly maxBadShare?: number
}

/** A sink as `megatron()` and its like make it. */
export interface SinkInput {
  readonly format: string
  readonly [option: string]: unknown
}

interface State {
  readonly name: string
  readonly source: object
  readonly steps: readonly object[]
  readonly functions: readonly UserFunction[]
  readonly keepRemovedText?: boolean
}

/** A source with steps: rows of type `R` that go nowhere yet. */
export class Draft<R extends object = AnyRow> {
  readonly #state: State

  constructor(state: State) {
    this.#state = state
  }

  /** Cleans the text; see `gristmill steps normalize`. */
  normalize(options: Options<NormalizeConfig> = {}): Draft<R> {
    return this.#step('normalize', options)
  }

  /**
   * Keeps the rows for which the condition is true: an expression, or a function that runs in the workers. With
   * `mode: 'annotate'` it keeps all, and says in a column whether the condition is true.
   */
  filter(
    condition: string | ((row: R) => boolean | Promise<boolean>),
    options: Options<{ readonly mode: 'annotate' | 'remove'; readonly passesColumn: string }> = {},
  ): Draft<R> {
    if (typeof condition !== 'string') return this.#function('filter', condition, options)
    return this.#step('filter', Object.keys(options).length === 0 ? condition : { expr: condition, ...options })
  }

  /**
   * Makes another row of each. The columns of the result are found out by trying the function on the first
   * rows of the input; `columns` states the types of those the function sets instead.
   */
  map<Out extends object>(
    change: (row: R) => Out | Promise<Out>,
    options: {
      readonly columns?: Readonly<
        Partial<Record<keyof Out & string, 'string' | 'int64' | 'float64' | 'boolean' | 'json' | 'tokens'>>
      >
    } = {},
  ): Draft<Out & { readonly id: string }> {
    return this.#function('map', change, options) as unknown as Draft<Out & { readonly id: string }>
  }

  /** Keeps these columns (and id). */
  select<K extends keyof R & string>(...columns: K[]): Draft<Pick<R, K>> {
    return this.#step('select', columns)
  }

  /** Gives columns other names, as `{ old: 'new' }`. */
  rename(columns: Readonly<Record<string, string>>): Draft {
    return this.#step('rename', columns) as unknown as Draft
  }

  /** Leaves these columns out. */
  drop<K extends keyof R & string>(...columns: K[]): Draft<Omit<R, K>> {
    return this.#step('drop', columns)
  }

  /** Fills rows that lack a value in columns, or removes them. */
  missing(options: Options<MissingConfig>): Draft<R> {
    return this.#step('missing', options)
  }

  /** Scales columns of numbers. */
  scale(options: Options<ScaleConfig>): Draft<R> {
    return this.#step('scale', options)
  }

  /** Turns categories into numbers: lists of 0 and 1, or places. */
  encode(options: Options<EncodeConfig>): Draft {
    return this.#step('encode', options) as unknown as Draft
  }

  /** Identifies the language of each text, as columns lang and lang_score, and keeps the wanted ones. */
  language(options: Options<LanguageConfig> & { readonly model: string }): Draft<R> {
    return this.#step('language', options)
  }

  /** Scores texts with a fastText classifier, as columns label and score, and keeps those that score well. */
  classify(options: Options<ClassifyConfig> & { readonly model: string }): Draft<R> {
    return this.#step('classify', options)
  }

  /** Masks private data, or removes the documents that hold it. */
  pii(options: Options<PiiConfig> = {}): Draft<R> {
    return this.#step('pii', options)
  }

  /** Removes documents that hold items of benchmarks, or cuts them out. */
  decontaminate(options: Options<DecontaminateConfig> & Pick<DecontaminateConfig, 'against' | 'fields'>): Draft<R> {
    return this.#step('decontaminate', options)
  }

  /** Removes rows by the address they came from. */
  urlFilter(options: Options<UrlFilterConfig>): Draft<R> {
    return this.#step('url-filter', options)
  }

  /** Removes documents that repeat themselves, by Gopher's rules. */
  gopherRepetition(options: Options<GopherRepetitionConfig> = {}): Draft<R> {
    return this.#step('gopher-repetition', options)
  }

  /** Removes documents that do not read like prose, by Gopher's rules. */
  gopherQuality(options: Options<GopherQualityConfig> = {}): Draft<R> {
    return this.#step('gopher-quality', options)
  }

  /** Cuts lines and removes documents by C4's rules. */
  c4Quality(options: Options<C4QualityConfig> = {}): Draft<R> {
    return this.#step('c4-quality', options)
  }

  /** Removes documents of badly cut or repeated lines, by FineWeb's rules. */
  finewebQuality(options: Options<FinewebQualityConfig> = {}): Draft<R> {
    return this.#step('fineweb-quality', options)
  }

  /** Cuts lines by RefinedWeb's rules, and removes documents that lose much by it. */
  lineFilter(options: Options<LineFilterConfig> = {}): Draft<R> {
    return this.#step('line-filter', options)
  }

  /** Removes documents that hold words of your lists. */
  badWords(options: Options<BadWordsConfig> & Pick<BadWordsConfig, 'lists'>): Draft<R> {
    return this.#step('bad-words', options)
  }

  /** Removes rows that equal another one. */
  exactDedup(options: Options<ExactDedupConfig> = {}): Draft<R> {
    return this.#step('exact-dedup', options)
  }

  /** Removes rows whose text is nearly that of another one. */
  minhashDedup(options: Options<MinhashDedupConfig> = {}): Draft<R> {
    return this.#step('minhash-dedup', options)
  }

  /** Counts documents, their lengths and n-grams, by source and language; changes nothing. */
  stats(options: Options<StatsConfig> = {}): Draft<R> {
    return this.#step('stats', options)
  }

  /** Shuffles all rows. */
  shuffle(options: Options<ShuffleConfig> = {}): Draft<R> {
    return this.#step('shuffle', options)
  }

  /** Keeps a share or a number of rows. */
  sample(options: Options<SampleConfig>): Draft<R> {
    return this.#step('sample', options)
  }

  /** Cuts documents into chunks, each a row. */
  chunk(options: Options<ChunkConfig>): Draft<R> {
    return this.#step('chunk', options)
  }

  /** Turns text into token ids. */
  tokenize(
    options: Options<TokenizeConfig> & { readonly tokenizer: string },
  ): Draft<Omit<R, 'text'> & { readonly tokens: Uint32Array }> {
    return this.#step('tokenize', options) as unknown as Draft<Omit<R, 'text'> & { readonly tokens: Uint32Array }>
  }

  /** Packs documents into sequences of one length. */
  pack(options: Options<PackConfig> & { readonly length: number }): Draft<R> {
    return this.#step('pack', options)
  }

  /** Names the pipeline. */
  named(name: string): Draft<R> {
    return new Draft({ ...this.#state, name })
  }

  /** Keeps the texts of removed rows in `removed/`. */
  keepRemovedText(): Draft<R> {
    return new Draft({ ...this.#state, keepRemovedText: true })
  }

  /** Ends the chain: everything is checked here. */
  write(sink: SinkInput): Pipeline {
    const { name, source, steps, functions, keepRemovedText } = this.#state
    const checked = checkPipeline({ name, source, steps, sink, keepRemovedText }, name)
    if ('problems' in checked) throw problemsError(checked.problems, `pipeline '${name}'`, () => '')
    return new Pipeline({ spec: checked.spec, baseFolder: process.cwd(), functions, module: undefined })
  }

  #step(name: string, config: unknown): Draft<R> {
    return new Draft({ ...this.#state, steps: [...this.#state.steps, { [name]: config }] })
  }

  #function(name: string, fn: (row: R) => unknown, options: object): Draft<R> {
    const { functions, steps } = this.#state
    const step = { [name]: { function: functions.length, ...options } }
    return new Draft({ ...this.#state, steps: [...steps, step], functions: [...functions, fn] })
  }
}

/** A complete pipeline: an immutable value that can be run, again and again. */
export class Pipeline {
  readonly [PIPELINE] = true
  readonly definition: PipelineDefinition

  constructor(definition: PipelineDefinition) {
    this.definition = definition
    Object.freeze(this)
  }

  /**
   * Runs the pipeline into a run directory, or goes on with a run there. Functions run in worker threads,
   * which load the calling program again up to this call; `module` names it where it is not the program
   * Node was started with.
   */
  async run(options: RunPipelineOptions & { readonly module?: string }): Promise<RunResult> {
    return runPipeline(this.#withModule(options.module), options)
  }

  /** What a run would do and take. */
  async explain(options: ExplainOptions & { readonly module?: string } = {}): Promise<Explanation> {
    return explainPipeline(this.#withModule(options.module), options)
  }

  #withModule(module: string | undefined): PipelineDefinition {
    const file = module?.startsWith('file:')
      ? fileURLToPath(module)
      : (module ?? this.definition.module ?? process.argv[1])
    return { ...this.definition, module: file }
  }
}

/** A source of a named format, or, with `undefined`, of the one its extensions tell. */
export function source<R extends object = AnyRow>(
  format: string | undefined,
  paths: string | readonly string[],
  options: object,
): Draft<R> {
  const list = typeof paths === 'string' ? [paths] : paths
  return new Draft<R>({
    name: 'pipeline',
    source: { ...(format !== undefined && { format }), paths: list, ...options },
    steps: [],
    functions: [],
  })
}
