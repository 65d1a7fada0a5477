/**
 * `Tokenizer`: a tokenizer file in native memory, one copy for all threads of the process.
 */
import type { NativeTokenized, NativeTokenizeOptions, NativeTokenizer } from '../../native/index.js'
import type { Batch } from './batch.js'
import { addon, native } from './native.js'

/** What reading a tiktoken rank file needs besides its bytes; a tokenizer.json takes none of it. */
export interface TokenizerLoadOptions {
  /** A known encoding, as in `cl100k_base`: its pattern and its special tokens. */
  readonly encoding?: string | undefined
  /** Pre-tokenisation pattern, when the encoding is none of the known ones. */
  readonly pattern?: string | undefined
  /** Special tokens and their ids. */
  readonly specialTokens?: Readonly<Record<string, number>> | undefined
}

/** How a batch is tokenised. */
export type TokenizeOptions = Readonly<NativeTokenizeOptions>

/** What tokenising a batch did. */
export type Tokenized = Readonly<NativeTokenized>

export class Tokenizer implements Disposable {
  readonly #handle: NativeTokenizer

  private constructor(handle: NativeTokenizer) {
    this.#handle = handle
  }

  /**
   * Reads a tokenizer.json, a tiktoken rank file, or an encoder of the npm package `tiktoken`. With
   * `contentHash` (of an earlier load) the file is read only when the process does not hold it, and must
   * have that content.
   */
  static load(path: string, options: TokenizerLoadOptions = {}, contentHash?: string): Tokenizer {
    const json = JSON.stringify(options)
    return new Tokenizer(native(() => addon.NativeTokenizer.load(path, json, contentHash)))
  }

  /** The same from the file's bytes. */
  static fromBytes(bytes: Uint8Array, options: TokenizerLoadOptions = {}): Tokenizer {
    const json = JSON.stringify(options)
    return new Tokenizer(native(() => addon.NativeTokenizer.fromBytes(bytes, json)))
  }

  /** Highest id + 1. */
  get vocabularySize(): number {
    return native(() => this.#handle.vocabularySize)
  }

  /** XXH3-128 of the file, 32 hexadecimal digits. */
  get contentHash(): string {
    return native(() => this.#handle.contentHash)
  }

  /** The id of a token as the vocabulary spells it; a byte-level one writes a space as `Ġ`. */
  tokenId(token: string): number | undefined {
    return native(() => this.#handle.tokenId(token)) ?? undefined
  }

  /** The added tokens, special ones among them, by rising id. */
  addedTokens(): string[] {
    return native(() => this.#handle.addedTokens())
  }

  /** The ids of one text; for looking at, batches go through `apply`. */
  encode(text: string, options: { addSpecialTokens?: boolean; specialTokensInText?: boolean } = {}): Uint32Array {
    const { addSpecialTokens = false, specialTokensInText = false } = options
    return native(() => this.#handle.encode(text, addSpecialTokens, specialTokensInText))
  }

  /** The text of ids; bytes that are no UTF-8 become U+FFFD. */
  decode(ids: Uint32Array, options: { skipSpecial?: boolean } = {}): string {
    return native(() => this.#handle.decode(ids, options.skipSpecial ?? false))
  }

  /** Replaces the column `text` of a batch by `tokens`. */
  apply(batch: Batch, options: TokenizeOptions): Tokenized {
    return batch.change((handle) => this.#handle.apply(handle, options))
  }

  [Symbol.dispose](): void {
    this.#handle.dispose()
  }
}

/** Names of the tiktoken encodings whose pattern and special tokens are known. */
export function knownEncodings(): string[] {
  return addon.knownTokenEncodings()
}
