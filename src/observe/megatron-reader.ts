/**
 * Reads Megatron shards (`.bin` and `.idx` version 1) through range reads; never a whole file.
 *
 * An `.idx` is: magic (9 bytes), u64 version, u8 dtype, u64 sequences S, u64 documents + 1 = D, i32[S] lengths,
 * i64[S] byte pointers, i64[D] document indices.
 */
import { GristmillError } from '../core/errors.js'
import type { ByteStore } from '../io/store.js'

const MAGIC = Buffer.from('MMIDIDX\0\0', 'latin1')
const HEADER_BYTES = 34
/** Items of the index looked at together. */
const WINDOW = 128 << 10

/** Bytes of a token by the dtype code; the two that a run writes. */
const TOKEN_BYTES: Readonly<Record<number, 2 | 4>> = { 8: 2, 4: 4 }

export interface MegatronShard {
  readonly name: string
  readonly tokenBytes: 2 | 4
  readonly documents: number
  /** Token ids [from, to) of the shard. */
  tokens(from: number, to: number): Promise<Uint16Array | Int32Array>
  /** First token and number of tokens of documents [from, to). */
  spans(from: number, to: number): Promise<{ readonly offset: number; readonly length: number }[]>
  /** What is wrong with the index when held against its own rules and the `.bin`; undefined when nothing. */
  problem(): Promise<string | undefined>
  /** Tokens of all documents, by their lengths. */
  totalTokens(): Promise<number>
}

/** Opens the shard `name` below `shards/`. */
export async function openMegatron(store: ByteStore, name: string): Promise<MegatronShard> {
  const [idx, bin] = [`shards/${name}.idx`, `shards/${name}.bin`]
  const bad = (reason: string): GristmillError =>
    new GristmillError('GM_FORMAT', `${idx} is no Megatron index: ${reason}`)
  const head = await store.read(idx, 0, HEADER_BYTES)
  if (head.length < HEADER_BYTES || !head.subarray(0, 9).equals(MAGIC))
    throw bad('it does not start with the magic bytes')
  if (head.readBigUInt64LE(9) !== 1n) throw bad(`its version is ${head.readBigUInt64LE(9)}`)
  const tokenBytes = TOKEN_BYTES[head[17] ?? 0]
  if (tokenBytes === undefined) throw bad(`its dtype is ${head[17]}, neither u16 (8) nor i32 (4)`)
  const documents = Number(head.readBigUInt64LE(18))
  const bounds = Number(head.readBigUInt64LE(26))
  const pointersAt = HEADER_BYTES + documents * 4
  const boundsAt = pointersAt + documents * 8

  async function tokens(from: number, to: number): Promise<Uint16Array | Int32Array> {
    const bytes = await store.read(bin, from * tokenBytes!, to * tokenBytes!)
    const copy = new Uint8Array(bytes).buffer // aligned, which a range of a pool is not
    return tokenBytes === 2 ? new Uint16Array(copy) : new Int32Array(copy)
  }

  async function spans(from: number, to: number): Promise<{ offset: number; length: number }[]> {
    const end = Math.min(to, documents)
    if (end <= from) return []
    const [lengths, pointers] = await Promise.all([
      store.read(idx, HEADER_BYTES + from * 4, HEADER_BYTES + end * 4),
      store.read(idx, pointersAt + from * 8, pointersAt + end * 8),
    ])
    return Array.from({ length: end - from }, (_, at) => ({
      offset: Number(pointers.readBigInt64LE(at * 8)) / tokenBytes!,
      length: lengths.readInt32LE(at * 4),
    }))
  }

  async function totalTokens(): Promise<number> {
    let total = 0
    for (let from = 0; from < documents; from += WINDOW) {
      for (const span of await spans(from, from + WINDOW)) total += span.length
    }
    return total
  }

  async function problem(): Promise<string | undefined> {
    const [idxEntry, binEntry] = [await store.stat(idx), await store.stat(bin)]
    const promised = boundsAt + bounds * 8
    if (idxEntry?.bytes !== promised)
      return `the .idx has ${idxEntry?.bytes ?? 0} bytes, its header promises ${promised}`
    if (bounds !== documents + 1) return `${documents} sequences but ${bounds - 1} documents`
    let next = 0
    for (let from = 0; from < documents; from += WINDOW) {
      for (const [at, { offset, length }] of (await spans(from, from + WINDOW)).entries()) {
        if (offset !== next || length < 0) return `document ${from + at} starts at token ${offset}, expected ${next}`
        next += length
      }
    }
    if (binEntry?.bytes !== next * tokenBytes!) {
      return `the .bin has ${binEntry?.bytes ?? 0} bytes, the lengths of the .idx add up to ${next * tokenBytes!}`
    }
    return documentBoundsProblem()
  }

  /** Each sequence is a document, so the document indices count from 0. */
  async function documentBoundsProblem(): Promise<string | undefined> {
    for (let from = 0; from < bounds; from += WINDOW) {
      const part = await store.read(idx, boundsAt + from * 8, boundsAt + Math.min(bounds, from + WINDOW) * 8)
      for (let at = 0; at * 8 < part.length; at++) {
        if (part.readBigInt64LE(at * 8) !== BigInt(from + at))
          return `document index ${from + at} is ${part.readBigInt64LE(at * 8)}`
      }
    }
    return undefined
  }

  return { name, tokenBytes, documents, tokens, spans, problem, totalTokens }
}
