/**
 * The first sequences of a run as text again: packed ones where the run has packs, else documents. Reads only the
 * tokens it shows.
 */
import { GristmillError } from '../core/errors.js'
import type { Manifest } from '../engine/manifest.js'
import type { ByteStore } from '../io/store.js'
import type { Tokenizer } from '../kernels/tokenizer.js'
import { type MegatronShard, openMegatron } from './megatron-reader.js'
import { openPack, type Piece } from './packs.js'

/** Tokens shown of a piece: a book in full helps nobody. */
const SHOWN_TOKENS = 8192

export interface DecodedPiece {
  /** Place of the document in its shard, from 0. */
  readonly document: number
  readonly shard: string
  /** Tokens of the piece. */
  readonly tokens: number
  /** Tokens of the document before the piece and after it, in other pieces. */
  readonly before: number
  readonly after: number
  /** Tokens of the piece that are not shown. */
  readonly hidden: number
  /** Undefined when there is no tokenizer to decode with. */
  readonly text: string | undefined
  readonly ids: readonly number[]
}

export interface DecodedSequence {
  readonly sequence: number
  /** Tokens that fit, undefined for documents. */
  readonly length: number | undefined
  readonly tokens: number
  readonly pieces: readonly DecodedPiece[]
}

/** The first `count` sequences. */
export async function decodeSequences(
  store: ByteStore,
  manifest: Manifest,
  tokenizer: Tokenizer | undefined,
  count: number,
): Promise<DecodedSequence[]> {
  const reader = new ShardReader(store, manifest)
  const [pack] = manifest.packs
  const all =
    pack === undefined
      ? await documentPieces(reader, manifest, count)
      : await (await openPack(store, pack)).read(0, count)
  const sequences: DecodedSequence[] = []
  for (const [sequence, pieces] of all.entries()) {
    const decoded: DecodedPiece[] = []
    for (const piece of pieces) decoded.push(await decodePiece(reader, piece, tokenizer))
    const tokens = pieces.reduce((sum, piece) => sum + piece.length, 0)
    sequences.push({ sequence, length: pack?.length, tokens, pieces: decoded })
  }
  return sequences
}

/** Shards, opened once each. */
class ShardReader {
  readonly #store: ByteStore
  readonly #manifest: Manifest
  readonly #open = new Map<number, Promise<MegatronShard>>()

  constructor(store: ByteStore, manifest: Manifest) {
    this.#store = store
    this.#manifest = manifest
  }

  async shard(number: number): Promise<MegatronShard> {
    const name = this.#manifest.shards[number]?.name
    if (name === undefined)
      throw new GristmillError('GM_VERIFY', `a piece lies in shard ${number}, which is not in the manifest`)
    let shard = this.#open.get(number)
    if (shard === undefined) this.#open.set(number, (shard = openMegatron(this.#store, name)))
    return shard
  }
}

/** Each of the first documents as a sequence of one piece. */
async function documentPieces(reader: ShardReader, manifest: Manifest, count: number): Promise<Piece[][]> {
  const sequences: Piece[][] = []
  for (const [number, { rows }] of manifest.shards.entries()) {
    const missing = count - sequences.length
    if (missing <= 0) break
    const spans = await (await reader.shard(number)).spans(0, Math.min(rows, missing))
    for (const [at, { offset, length }] of spans.entries()) {
      sequences.push([{ tokenOffset: offset, shard: number, length, document: at }])
    }
  }
  return sequences
}

async function decodePiece(reader: ShardReader, piece: Piece, tokenizer: Tokenizer | undefined): Promise<DecodedPiece> {
  const shard = await reader.shard(piece.shard)
  const shown = Math.min(piece.length, SHOWN_TOKENS)
  const ids = Uint32Array.from(await shard.tokens(piece.tokenOffset, piece.tokenOffset + shown))
  const [span] = await shard.spans(piece.document, piece.document + 1)
  const before = span === undefined ? 0 : piece.tokenOffset - span.offset
  return {
    document: piece.document,
    shard: shard.name,
    tokens: piece.length,
    before,
    after: span === undefined ? 0 : span.length - before - piece.length,
    hidden: piece.length - shown,
    text: tokenizer?.decode(ids),
    ids: [...ids],
  }
}
