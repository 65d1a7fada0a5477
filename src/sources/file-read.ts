/** What the Parquet and Arrow sources share when they read: rows to the engine, damaged files to quarantine. */
import { GristmillError } from '../core/errors.js'
import type { ByteStore } from '../io/store.js'
import type { Batch } from '../kernels/batch.js'
import type { Read } from '../kernels/columnar.js'
import type { InputFile, PlanContext, ReadContext } from './source.js'

/** A file and the store it lies in. */
export interface StoredFile {
  readonly file: InputFile
  readonly store: ByteStore
  readonly key: string
}

export async function locate(file: InputFile, { stores }: Pick<PlanContext, 'stores'>): Promise<StoredFile> {
  return { file, ...(await stores.locate(file.url)) }
}

/** Formats that are read from their end cannot come through a pipe. */
export function refuseStandardInput(files: readonly InputFile[], format: string): void {
  if (files.every((file) => file.url !== '-')) return
  throw new GristmillError('GM_CONFIG', `${format} cannot be read from standard input: it is read from its end`, {
    hint: 'write it to a file first',
  })
}

/** Bytes before the end that are read at once, since most footers fit. */
const FOOTER_BYTES = 64 << 10

/**
 * The footer of a file, without the last `tailBytes` bytes, which tell its length.
 *
 * A file that is too short for its footer is a GM_FORMAT error.
 */
export async function readFooter(
  { file, store, key }: StoredFile,
  tailBytes: number,
  lengthOf: (tail: Uint8Array) => number,
): Promise<Uint8Array> {
  const from = Math.max(0, file.size - FOOTER_BYTES)
  const end = await store.read(key, from, file.size)
  const length = lengthOf(end.subarray(Math.max(0, end.length - tailBytes)))
  const start = file.size - tailBytes - length
  if (start < 0) {
    throw new GristmillError('GM_FORMAT', `the footer should have ${length} bytes, more than the file (${file.size})`)
  }
  if (start >= from) return end.subarray(start - from, end.length - tailBytes)
  return store.read(key, start, file.size - tailBytes)
}

/** What `work` gives; undefined when the bytes are not of the format, which `damaged` is told. */
export async function unlessDamaged<T>(
  work: () => Promise<T>,
  damaged: (reason: string) => void,
): Promise<T | undefined> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof GristmillError) || error.code !== 'GM_FORMAT') throw error
    damaged(error.message)
    return undefined
  }
}

/** Puts a file that cannot be read on record: a reject for quarantine, and an input that ended too early. */
export function rejectFile(file: InputFile, code: string, reason: string, context: ReadContext): void {
  const bytes = new Uint8Array(0)
  context.reject([{ file: file.path, offset: 0, length: file.size, code, reason, bytes }])
  context.truncated(file, reason)
}

/** Reports what was read and hands out its batch. */
export function* handOut(read: Read, unknown: readonly string[], context: ReadContext): Generator<Batch> {
  if (read.rejects.length > 0) context.reject(read.rejects)
  if (read.pruned > 0) context.pruned(read.pruned)
  if (read.bytes > 0) context.consumed(read.bytes)
  for (const name of unknown) context.unknownColumn?.(name, read.rows)
  if (read.batch !== undefined) yield read.batch
}
