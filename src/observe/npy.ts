/**
 * Slices of NumPy `.npy` files (format 1.0 to 3.0) through range reads; only the one-dimensional, C-order,
 * little-endian arrays that a run writes. https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
import { GristmillError } from '../core/errors.js'
import type { ByteStore } from '../io/store.js'

const MAGIC = Buffer.from('\u0093NUMPY', 'latin1')
/** More than any header a run writes. */
const HEADER_BYTES = 4096

export interface NpyArray {
  readonly key: string
  /** Type as in the header: `<u8`, or the fields of a structured one. */
  readonly descr: string
  readonly itemBytes: number
  readonly length: number
  /** Bytes of items [from, to). */
  read(from: number, to: number): Promise<DataView>
}

/** Opens an array and checks that the file is as long as its header says. */
export async function openNpy(store: ByteStore, key: string): Promise<NpyArray> {
  const bad = (reason: string): GristmillError => new GristmillError('GM_FORMAT', `${key} is no .npy file: ${reason}`)
  const head = await store.read(key, 0, HEADER_BYTES)
  if (head.length < 12 || !head.subarray(0, 6).equals(MAGIC)) throw bad('it does not start with the magic bytes')
  const wide = (head[6] ?? 0) >= 2
  const dataAt = (wide ? 12 : 10) + (wide ? head.readUInt32LE(8) : head.readUInt16LE(8))
  if (dataAt > head.length) throw bad(`its header has ${dataAt} bytes`)
  const header = head.toString('latin1', wide ? 12 : 10, dataAt)
  const descr = /'descr':\s*('[^']*'|\[[^\]]*\])/.exec(header)?.[1]?.replaceAll(/['\s]/g, '')
  const shape = /'shape':\s*\((\d+),\)/.exec(header)?.[1]
  if (descr === undefined || shape === undefined || /'fortran_order':\s*True/.test(header)) {
    throw bad(`its header is ${header.trim()}`)
  }
  const itemBytes = itemBytesOf(descr)
  const length = Number(shape)
  const entry = await store.stat(key)
  if (entry?.bytes !== dataAt + length * itemBytes) {
    throw bad(`it has ${entry?.bytes ?? 0} bytes, its header promises ${dataAt + length * itemBytes}`)
  }
  return {
    key,
    descr,
    itemBytes,
    length,
    async read(from, to) {
      const bytes = await store.read(key, dataAt + from * itemBytes, dataAt + Math.min(to, length) * itemBytes)
      return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    },
  }
}

/** Sum of the sizes in `<u8` or `[(a,<u8),(b,<u4)]`. */
function itemBytesOf(descr: string): number {
  return [...descr.matchAll(/[<|][uif](\d)/g)].reduce((sum, match) => sum + Number(match[1]), 0)
}
