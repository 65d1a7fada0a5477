/**
 * The feed: batches of token sequences out of a finished run, made in the background by threads of Rust.
 *
 * What comes when, gathering and memory are decided in crates/kernels/src/feed.
 */
import { setImmediate } from 'node:timers/promises'
import type { NativeFeed, NativeFeedBatch, NativeFeedFacts } from '../../native/index.js'
import { GristmillError } from '../core/errors.js'
import { addon, fromNative, native } from './native.js'

/** A matrix of a batch. */
export type FeedField = 'tokens' | 'labels' | 'position_ids' | 'loss_mask' | 'attention_mask'

/** `FeedConfig` of crates/kernels/src/feed/config.rs, key for key. */
export interface FeedConfig {
  readonly datasets: readonly {
    readonly path: string
    readonly weight: number | null
    readonly tokens: number | null
    readonly part: { readonly column: string; readonly value: string } | null
  }[]
  readonly mixture: {
    readonly temperature: number | null
    readonly tokens: number | null
    readonly stages: readonly { readonly after_tokens: number; readonly weights: readonly number[] }[]
  } | null
  readonly seq_len: number | null
  readonly batch_size: number | null
  readonly max_tokens: number | null
  readonly buckets: readonly number[] | null
  readonly difficulty: { readonly column: string; readonly limit: number | null; readonly bands: number | null } | null
  readonly accumulate: number
  readonly seed: number
  readonly shuffle: { readonly kind: 'none' | 'full' } | { readonly kind: 'block'; block: number; group: number }
  readonly rank: number
  readonly mesh: { readonly dp: number; readonly tp: number; readonly pp: number; readonly cp: number }
  readonly making: {
    readonly fields: readonly FeedField[]
    readonly dtypes: Readonly<Record<FeedField, 'int32' | 'int64' | 'bool'>>
    readonly shift_labels: boolean
    readonly mask_documents: boolean
    readonly reset_positions: boolean
    readonly pad_id: number
  }
  readonly buffers: number
  readonly prefetch: number
  readonly threads: number
  readonly check: boolean
}

/** What a feed measured of itself, since its first batch was asked for. */
export interface FeedStats {
  readonly batches: number
  /** Sequences in them. */
  readonly sequences: number
  /** Tokens in them, padding left out. */
  readonly tokens: number
  /** Share of their positions that is padding, 0 to 1. */
  readonly paddingShare: number
  /** Tokens left out, because their document is longer than the longest bucket. */
  readonly truncatedTokens: number
  /** From the first request to the last batch. */
  readonly seconds: number
  readonly batchesPerSecond: number
  readonly tokensPerSecond: number
  /** Time the program waited for batches. */
  readonly stallSeconds: number
  /** Time a background thread waited for the program, on average. */
  readonly idleSeconds: number
  /** Time spent making batches, summed over threads. */
  readonly busySeconds: number
  /** `input` when the program waited more than 5 % of the time; null before the first batch. */
  readonly bottleneck: 'input' | 'trainer' | null
}

/** Numbers of a batch: one for each position, row after row. */
export type FeedNumbers = Int32Array | BigInt64Array

/** Where options are listed. */
export const FEED_HINT = 'docs/feed.md lists the options'

/** An abort is noticed after so many milliseconds at most. */
const PATIENCE_MS = 100

/** A feed with its threads. */
export class FeedReader implements Disposable {
  readonly #handle: NativeFeed
  readonly #wide: boolean

  constructor(config: FeedConfig) {
    this.#handle = native(() => new addon.NativeFeed(JSON.stringify(config)), FEED_HINT)
    this.#wide = config.making.dtypes.tokens === 'int64'
  }

  /** The next batch; waits for it off the main thread. */
  async next(signal?: AbortSignal): Promise<FeedBatch> {
    for (;;) {
      signal?.throwIfAborted()
      const batch = await this.#ask()
      if (batch !== null) return new FeedBatch(batch, this.#wide)
    }
  }

  async #ask(): Promise<NativeFeedBatch | null> {
    try {
      return await this.#handle.next(PATIENCE_MS)
    } catch (error) {
      const failure = fromNative(error)
      if (!(failure instanceof GristmillError) || failure.code !== 'GM_FEED_BUFFERS') throw failure
    }
    // Memory that was let go of comes back in a turn of the event loop of its own.
    await setImmediate()
    await setImmediate()
    return this.#handle.next(PATIENCE_MS).catch((error: unknown) => {
      throw fromNative(error)
    })
  }

  /** The epoch of the next batch, from 0. */
  get epoch(): number {
    return native(() => this.#handle.epoch)
  }

  /** Batches of this rank in the whole current epoch. */
  get epochBatches(): number {
    return native(() => this.#handle.epochBatches)
  }

  /** Samples of an epoch, of all ranks together. */
  get epochSamples(): number {
    return native(() => this.#handle.epochSamples)
  }

  /** Positions of the longest rows. */
  get sequenceLength(): number {
    return this.#handle.seqLen
  }

  state(): string {
    return native(() => this.#handle.state())
  }

  loadState(text: string): void {
    native(() => this.#handle.loadState(text))
  }

  setEpoch(epoch: number): void {
    native(() => this.#handle.setEpoch(epoch), FEED_HINT)
  }

  stats(): FeedStats {
    const told = JSON.parse(native(() => this.#handle.stats())) as Record<string, unknown>
    const camel = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
    return Object.fromEntries(Object.entries(told).map(([name, value]) => [camel(name), value])) as unknown as FeedStats
  }

  close(): void {
    native(() => this.#handle.close())
  }

  [Symbol.dispose](): void {
    this.close()
  }
}

/**
 * A batch: matrices of `rows` × `columns` numbers, row after row, as views of native memory.
 *
 * Dispose it (`using`) when you are done: its buffer goes back to the feed and the views are detached. The collector
 * does the same, later.
 */
export class FeedBatch implements Disposable {
  readonly #handle: NativeFeedBatch
  readonly #wide: boolean
  readonly #facts: NativeFeedFacts
  #matrices: ArrayBuffer | undefined

  constructor(handle: NativeFeedBatch, wide: boolean) {
    this.#handle = handle
    this.#wide = wide
    this.#facts = native(() => handle.facts())
  }

  /** Rows, those of padding included. */
  get rows(): number {
    return this.#facts.rows
  }

  /** Positions of a row. */
  get columns(): number {
    return this.#facts.columns
  }

  /** Rows that hold a sequence; fewer than there are rows only at the end of an epoch, or of a window of buckets. */
  get sequences(): number {
    return this.#facts.sequences
  }

  /** Tokens, padding left out. */
  get tokenCount(): number {
    return this.#facts.tokens
  }

  /** The epoch it belongs to, from 0. */
  get epoch(): number {
    return this.#facts.epoch
  }

  /** Length of the longest document. */
  get maxSequenceLength(): number {
    return this.#facts.longest
  }

  /** Token ids; the padding id after a sequence's end. */
  get tokens(): FeedNumbers {
    return this.#numbers('tokens')
  }

  /** What to predict at each position; −100 where there is nothing. */
  get labels(): FeedNumbers {
    return this.#numbers('labels')
  }

  /** Place of each token in its document. */
  get positionIds(): FeedNumbers {
    return this.#numbers('position_ids')
  }

  /** 1 where the label is not −100. */
  get lossMask(): Uint8Array {
    return this.#mask('loss_mask')
  }

  /** 1 where there is a token. */
  get attentionMask(): Uint8Array {
    return this.#mask('attention_mask')
  }

  /** Ends of the documents over the flattened batch, 0 first; padding counts as a document of its own. */
  get cuSeqlens(): Int32Array {
    return new Int32Array(native(() => this.#handle.ends()))
  }

  /** Which sequence each row is; −1 where there is none. */
  get sampleIds(): number[] {
    return this.#ids(0)
  }

  /** Which run each row is from; −1 where there is none. */
  get datasetIds(): number[] {
    return this.#ids(this.rows)
  }

  #ids(from: number): number[] {
    const samples = new BigInt64Array(native(() => this.#handle.samples()))
    return Array.from(samples.subarray(from, from + this.rows), Number)
  }

  #numbers(field: FeedField): FeedNumbers {
    const { memory, offset } = this.#field(field)
    const length = this.rows * this.columns
    return this.#wide ? new BigInt64Array(memory, offset, length) : new Int32Array(memory, offset, length)
  }

  #mask(field: FeedField): Uint8Array {
    const { memory, offset } = this.#field(field)
    return new Uint8Array(memory, offset, this.rows * this.columns)
  }

  #field(field: FeedField): { memory: ArrayBuffer; offset: number } {
    const offset = native(() => this.#handle.offset(field))
    if (offset !== null) {
      const memory = (this.#matrices ??= native(() => this.#handle.matrices()))
      return { memory, offset }
    }
    const memory = native(() => this.#handle.make(field))
    if (memory !== null) return { memory, offset: 0 }
    throw new GristmillError('GM_CONFIG', `this batch was made without ${field}`, { hint: 'name it in `fields`' })
  }

  dispose(): void {
    const matrices = this.#matrices
    this.#matrices = undefined
    native(() => this.#handle.dispose(matrices))
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
