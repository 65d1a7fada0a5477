/** Reads the packing index of a run: `packs/LENGTH/{pieces,documents,boundaries}.npy`. */
import { GristmillError } from '../core/errors.js'
import type { ManifestPack, ManifestShard } from '../engine/manifest.js'
import type { ByteStore } from '../io/store.js'
import { type NpyArray, openNpy } from './npy.js'

const PIECE_DESCR = '[(token_offset,<u8),(shard,<u4),(length,<u4)]'
const WINDOW = 64 << 10

/** A stretch of one document inside a sequence. */
export interface Piece {
  /** First token, counted in the shard. */
  readonly tokenOffset: number
  readonly shard: number
  readonly length: number
  /** Place of the document in its shard. */
  readonly document: number
}

export interface Pack {
  readonly sequences: number
  readonly pieces: number
  /** The pieces of sequences [from, to). */
  read(from: number, to: number): Promise<Piece[][]>
}

export async function openPack(store: ByteStore, pack: ManifestPack): Promise<Pack> {
  const open = (name: string): Promise<NpyArray> => openNpy(store, `packs/${pack.length}/${name}.npy`)
  const [pieces, documents, boundaries] = await Promise.all([open('pieces'), open('documents'), open('boundaries')])
  if (pieces.descr !== PIECE_DESCR) {
    throw new GristmillError('GM_FORMAT', `${pieces.key} has type ${pieces.descr}, expected ${PIECE_DESCR}`)
  }
  if (documents.descr !== '<u4' || boundaries.descr !== '<u8') {
    throw new GristmillError('GM_FORMAT', `packs/${pack.length} has types ${documents.descr} and ${boundaries.descr}`)
  }
  if (documents.length !== pieces.length) {
    throw new GristmillError(
      'GM_FORMAT',
      `${documents.key} has ${documents.length} entries for ${pieces.length} pieces`,
    )
  }
  const sequences = boundaries.length

  async function starts(from: number, to: number): Promise<number[]> {
    const view = await boundaries.read(from, Math.min(to + 1, sequences))
    const all = Array.from({ length: view.byteLength / 8 }, (_, at) => Number(view.getBigUint64(at * 8, true)))
    return to >= sequences ? [...all, pieces.length] : all
  }

  async function read(from: number, to: number): Promise<Piece[][]> {
    const end = Math.min(to, sequences)
    if (end <= from) return []
    const bounds = await starts(from, end)
    const first = bounds[0] ?? 0
    const [pieceView, documentView] = await Promise.all([
      pieces.read(first, bounds.at(-1) ?? first),
      documents.read(first, bounds.at(-1) ?? first),
    ])
    const piece = (at: number): Piece => ({
      tokenOffset: Number(pieceView.getBigUint64((at - first) * 16, true)),
      shard: pieceView.getUint32((at - first) * 16 + 8, true),
      length: pieceView.getUint32((at - first) * 16 + 12, true),
      document: documentView.getUint32((at - first) * 4, true),
    })
    return bounds.slice(0, -1).map((start, at) => {
      const stop = bounds[at + 1] ?? start
      return Array.from({ length: Math.max(0, stop - start) }, (_, offset) => piece(start + offset))
    })
  }
  return { sequences, pieces: pieces.length, read }
}

/** What is wrong with a pack when held against the manifest; undefined when nothing. */
export async function packProblem(
  store: ByteStore,
  stated: ManifestPack,
  shards: readonly ManifestShard[],
): Promise<string | undefined> {
  const pack = await openPack(store, stated)
  if (pack.sequences !== stated.sequences) return `${pack.sequences} sequences, the manifest states ${stated.sequences}`
  if (pack.pieces !== stated.pieces) return `${pack.pieces} pieces, the manifest states ${stated.pieces}`
  let [tokens, pieces] = [0, 0]
  for (let from = 0; from < pack.sequences; from += WINDOW) {
    for (const [at, sequence] of (await pack.read(from, from + WINDOW)).entries()) {
      const problem = sequenceProblem(sequence, stated.length, shards)
      if (problem !== undefined) return `sequence ${from + at}: ${problem}`
      pieces += sequence.length
      tokens += sequence.reduce((sum, piece) => sum + piece.length, 0)
    }
  }
  if (pieces !== pack.pieces) return `the boundaries reach ${pieces} of ${pack.pieces} pieces`
  return tokens === stated.tokens ? undefined : `${tokens} tokens, the manifest states ${stated.tokens}`
}

function sequenceProblem(
  sequence: readonly Piece[],
  length: number,
  shards: readonly ManifestShard[],
): string | undefined {
  if (sequence.length === 0) return 'it has no pieces; boundaries must increase'
  let filled = 0
  for (const piece of sequence) {
    const shard = shards[piece.shard]
    if (shard === undefined) return `a piece lies in shard ${piece.shard} of ${shards.length}`
    if (piece.tokenOffset + piece.length > (shard.tokens ?? 0)) {
      return `a piece ends at token ${piece.tokenOffset + piece.length} of shard ${shard.name}, which has ${shard.tokens ?? 0}`
    }
    if (piece.document >= shard.rows)
      return `a piece is of document ${piece.document} of ${shard.rows} in shard ${shard.name}`
    filled += piece.length
  }
  return filled > length ? `its pieces hold ${filled} tokens, more than ${length}` : undefined
}
