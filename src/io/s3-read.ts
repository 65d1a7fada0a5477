/**
 * Reads byte ranges of S3 objects and goes on where a connection broke.
 *
 * The SDK repeats requests, but not what arrives after the headers; over hours of reading that is where
 * connections break.
 */
import { addAbortSignal, type Readable } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3'
import { GristmillError } from '../core/errors.js'
import type { S3 } from './s3-client.js'
import { statusOf, storeError } from './s3-errors.js'

/** Connections that may break in a row, without a byte between them, before reading fails. */
const MAX_FAILURES = 4
const FIRST_PAUSE_MS = 100

export interface ObjectRange {
  readonly bucket: string
  readonly key: string
  readonly from: number
  /** Exclusive; the end when undefined. */
  readonly to: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Part of a range as it came from the network. */
interface Piece {
  readonly bytes: Uint8Array
  /** Bytes from the start of this piece to the end of the range. */
  readonly left: number
}

/** The range in chunks of the asked size (the last one shorter), each in memory of its own. */
export async function* readChunks(s3: S3, range: ObjectRange, chunkBytes: () => number): AsyncGenerator<Buffer> {
  let chunk: Buffer | undefined
  let filled = 0
  for await (const { bytes, left } of pieces(s3, range)) {
    for (let taken = 0; taken < bytes.length;) {
      chunk ??= Buffer.allocUnsafeSlow(Math.min(Math.max(1, chunkBytes()), left - taken))
      const part = bytes.subarray(taken, taken + chunk.length - filled)
      chunk.set(part, filled)
      taken += part.length
      filled += part.length
      if (filled < chunk.length) continue
      yield chunk
      ;[chunk, filled] = [undefined, 0]
    }
  }
}

async function* pieces(s3: S3, { bucket, key, from, to, signal }: ObjectRange): AsyncGenerator<Piece> {
  const doing = `read s3://${bucket}/${key}`
  let [at, end, failures] = [from, to ?? Number.POSITIVE_INFINITY, 0]
  let etag: string | undefined
  while (at < end) {
    signal?.throwIfAborted()
    const input = { Bucket: bucket, Key: key, Range: rangeHeader(at, to), ...(etag && { IfMatch: etag }) }
    let answer: GetObjectCommandOutput
    try {
      answer = await s3.client.send(new s3.sdk.GetObjectCommand(input), { ...(signal && { abortSignal: signal }) })
    } catch (error) {
      signal?.throwIfAborted()
      if (statusOf(error) === 416) return // Nothing lies at or behind `from`.
      if (statusOf(error) === 412) throw changed(bucket, key, error)
      throw storeError(doing, error)
    }
    etag ??= answer.ETag
    end = Math.min(end, lengthOf(answer, at, doing))
    try {
      for await (const bytes of bodyOf(answer, signal)) {
        yield { bytes, left: end - at }
        at += bytes.length
        failures = 0
      }
      if (at < end) throw new Error(`the connection ended at byte ${at} of ${end}`)
    } catch (error) {
      signal?.throwIfAborted()
      if (++failures > MAX_FAILURES) throw storeError(doing, error)
      await setTimeout(FIRST_PAUSE_MS * 2 ** (failures - 1), undefined, { ...(signal && { signal }) })
    }
  }
}

function rangeHeader(from: number, to: number | undefined): string {
  return `bytes=${from}-${to === undefined ? '' : to - 1}`
}

/** The object's length from the answer to a range request that starts at `from`. */
function lengthOf(answer: GetObjectCommandOutput, from: number, doing: string): number {
  const total = /\/(\d+)$/.exec(answer.ContentRange ?? '')?.[1]
  if (total !== undefined) return Number(total)
  if (from === 0 && answer.ContentLength !== undefined) return answer.ContentLength
  throw storeError(doing, new Error('the server does not answer range requests'))
}

function bodyOf(answer: GetObjectCommandOutput, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
  const body = answer.Body as Readable
  return signal === undefined ? body : addAbortSignal(signal, body)
}

function changed(bucket: string, key: string, cause: unknown): GristmillError {
  return new GristmillError('GM_INPUT_CHANGED', `s3://${bucket}/${key} was replaced while it was read`, { cause })
}
