/**
 * `feed`: a finished run as an async iterable of batches. docs/feed.md says what is in a batch and in which order.
 *
 * Options are checked here; what they mean is decided in Rust.
 */
import { z } from 'zod'
import { GristmillError } from '../core/errors.js'
import { FEED_HINT, type FeedBatch, type FeedConfig, FeedReader, type FeedStats } from '../kernels/feed.js'

const whole = z.int().min(1)
const field = z.enum(['tokens', 'labels', 'positionIds', 'lossMask', 'attentionMask'])
const component = z.strictObject({
  run: z.string(),
  weight: z.number().nonnegative().optional(),
  tokens: whole.optional(),
  where: z.strictObject({ column: z.string(), value: z.union([z.string(), z.int(), z.boolean()]) }).optional(),
})

const Mixture = z.strictObject({
  components: z.array(component).min(1),
  temperature: z.number().positive().optional(),
  tokens: whole.optional(),
  stages: z.array(z.strictObject({ afterTokens: z.int().min(0), weights: z.array(z.number()) })).default([]),
})

const Options = z.strictObject({
  batchSize: whole.optional(),
  maxTokens: whole.optional(),
  seqLen: whole.optional(),
  buckets: z.array(whole).min(1).optional(),
  difficulty: z
    .strictObject({ column: z.string(), limit: z.number().positive().optional(), bands: whole.max(254).optional() })
    .optional(),
  seed: z.int().min(0).default(0),
  rank: z.int().min(0).default(0),
  worldSize: whole.optional(),
  mesh: z
    .strictObject({ dp: whole.default(1), tp: whole.default(1), pp: whole.default(1), cp: whole.default(1) })
    .optional(),
  fields: z.array(field).default(['tokens', 'labels']),
  dtype: z.enum(['int32', 'int64']).default('int32'),
  shiftLabels: z.boolean().default(true),
  maskDocuments: z.boolean().default(true),
  resetPositionIds: z.boolean().default(true),
  padId: z.int().min(0).default(0),
  shuffle: z.union([z.boolean(), z.strictObject({ block: whole, group: whole })]).default(true),
  accumulate: whole.default(1),
  buffers: whole.default(8),
  prefetch: z.int().min(0).default(4),
  threads: whole.default(2),
  verify: z.boolean().default(true),
  signal: z.instanceof(AbortSignal).optional(),
})

/** Several runs, drawn from in fixed shares. */
export type FeedMixture = z.input<typeof Mixture>
/** What a feed can be told; those of the Python loader, in camel case. */
export type FeedOptions = z.input<typeof Options>
/** A place in the order of a feed; JSON of a few hundred bytes, the same on every rank. */
export type FeedState = Readonly<Record<string, unknown>>

/**
 * Opens a finished run, or a mixture of several, for reading.
 *
 * @example
 * for await (using batch of feed('runs/corpus', { batchSize: 16, seqLen: 2048, seed: 7 })) {
 *   train(batch.tokens, batch.labels)
 * }
 */
export function feed(runs: string | FeedMixture, options: FeedOptions): Feed {
  return new Feed(runs, options)
}

/** Batches of packed sequences. Iterating gives the rest of the current epoch; iterating again gives the next. */
export class Feed implements AsyncIterable<FeedBatch>, Disposable {
  readonly #reader: FeedReader
  readonly #signal: AbortSignal | undefined

  constructor(runs: string | FeedMixture, options: FeedOptions) {
    const checked = check(Options, options, '')
    this.#reader = new FeedReader({ ...describeRuns(runs), ...describe(checked) })
    this.#signal = checked.signal
  }

  /** Leaving the loop keeps the place: the next loop goes on there. An abort throws the signal's reason. */
  async *[Symbol.asyncIterator](): AsyncGenerator<FeedBatch, void, undefined> {
    const { epoch } = this
    while (this.epoch === epoch) yield await this.#reader.next(this.#signal)
  }

  /** The epoch of the next batch, from 0. */
  get epoch(): number {
    return this.#reader.epoch
  }

  /** Goes to the start of an epoch; does nothing in the midst of it, so that a resumed epoch goes on. */
  set epoch(epoch: number) {
    if (check(z.int().min(0), epoch, 'epoch') !== this.epoch) this.#reader.setEpoch(epoch)
  }

  /** Batches of this rank in the whole current epoch. With `buckets` the lengths of all documents are read. */
  get epochBatches(): number {
    return this.#reader.epochBatches
  }

  /** Samples of an epoch, of all ranks together. */
  get epochSamples(): number {
    return this.#reader.epochSamples
  }

  /** Positions of the longest rows. */
  get sequenceLength(): number {
    return this.#reader.sequenceLength
  }

  /** Where the feed is: what was handed over counts, what was made ahead does not. */
  state(): FeedState {
    return JSON.parse(this.#reader.state()) as FeedState
  }

  /** Goes on where a state was saved, on any number of ranks; GM_FEED_STATE when it is of another feed. */
  load(state: FeedState): void {
    this.#reader.loadState(JSON.stringify(state) ?? 'null')
  }

  /** What was measured since the first batch was asked for. */
  stats(): FeedStats {
    return this.#reader.stats()
  }

  /** Ends the background threads; batches that were handed over stay valid. Closing twice is harmless. */
  close(): void {
    this.#reader.close()
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

function check<T>(schema: z.ZodType<T>, value: unknown, place: string): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  const at = [place, ...(issue?.path ?? [])].filter((part) => part !== '').join('.')
  throw new GristmillError('GM_CONFIG', `feed: ${at === '' ? '' : `${at}: `}${issue?.message ?? 'invalid'}`, {
    hint: FEED_HINT,
  })
}

function describeRuns(runs: string | FeedMixture): Pick<FeedConfig, 'datasets' | 'mixture'> {
  if (typeof runs === 'string') {
    return { datasets: [{ path: runs, weight: null, tokens: null, part: null }], mixture: null }
  }
  const { components, temperature = null, tokens = null, stages } = check(Mixture, runs, 'mixture')
  return {
    datasets: components.map(({ run, weight, tokens: own, where }) => ({
      path: run,
      weight: weight ?? null,
      tokens: own ?? null,
      part: where === undefined ? null : { column: where.column, value: String(where.value) },
    })),
    mixture: {
      temperature,
      tokens,
      stages: stages.map(({ afterTokens, weights }) => ({ after_tokens: afterTokens, weights })),
    },
  }
}

function describe(options: z.output<typeof Options>): Omit<FeedConfig, 'datasets' | 'mixture'> {
  const { shuffle, dtype, difficulty } = options
  return {
    seq_len: options.seqLen ?? null,
    batch_size: options.batchSize ?? null,
    max_tokens: options.maxTokens ?? null,
    buckets: options.buckets ?? null,
    difficulty:
      difficulty === undefined
        ? null
        : { column: difficulty.column, limit: difficulty.limit ?? null, bands: difficulty.bands ?? null },
    accumulate: options.accumulate,
    seed: options.seed,
    shuffle: typeof shuffle === 'boolean' ? { kind: shuffle ? 'full' : 'none' } : { kind: 'block', ...shuffle },
    rank: options.rank,
    mesh: meshOf(options),
    making: {
      fields: options.fields.map((name) => NATIVE_NAMES[name]),
      dtypes: { tokens: dtype, labels: dtype, position_ids: dtype, loss_mask: 'bool', attention_mask: 'bool' },
      shift_labels: options.shiftLabels,
      mask_documents: options.maskDocuments,
      reset_positions: options.resetPositionIds,
      pad_id: options.padId,
    },
    buffers: options.buffers,
    prefetch: options.prefetch,
    threads: options.threads,
    check: options.verify,
  }
}

const NATIVE_NAMES = {
  tokens: 'tokens',
  labels: 'labels',
  positionIds: 'position_ids',
  lossMask: 'loss_mask',
  attentionMask: 'attention_mask',
} as const satisfies Record<z.output<typeof field>, FeedConfig['making']['fields'][number]>

function meshOf({ mesh, worldSize }: z.output<typeof Options>): FeedConfig['mesh'] {
  if (mesh === undefined) return { dp: worldSize ?? 1, tp: 1, pp: 1, cp: 1 }
  const ranks = mesh.dp * mesh.tp * mesh.pp * mesh.cp
  if (worldSize === undefined || worldSize === ranks) return mesh
  throw new GristmillError('GM_CONFIG', `feed: mesh: its axes multiply to ${ranks}, the world has ${worldSize} ranks`, {
    hint: FEED_HINT,
  })
}
