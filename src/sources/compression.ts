/** How a file is compressed, told from its name or its first bytes. */

export type Compression = 'none' | 'zstd' | 'gzip'

const SUFFIXES = new Map<string, Compression>([
  ['.zst', 'zstd'],
  ['.zstd', 'zstd'],
  ['.gz', 'gzip'],
  ['.gzip', 'gzip'],
])

/** Bytes at the start of a file that tell its compression. */
export const MAGIC_BYTES = 4

/** The file's name without a compression suffix, and the compression the suffix names. */
export function splitName(path: string): { readonly stem: string; readonly compression: Compression } {
  const dot = path.lastIndexOf('.')
  const compression = dot < 0 ? undefined : SUFFIXES.get(path.slice(dot).toLowerCase())
  return compression === undefined ? { stem: path, compression: 'none' } : { stem: path.slice(0, dot), compression }
}

/** The compression that a file's first bytes name. */
export function compressionOfMagic(head: Uint8Array): Compression {
  const [a = 0, b = 0, c = 0, d = 0] = head
  if (a === 0x1f && b === 0x8b) return 'gzip'
  const frame = a === 0x28 && b === 0xb5 && c === 0x2f && d === 0xfd
  const skippable = a >= 0x50 && a <= 0x5f && b === 0x2a && c === 0x4d && d === 0x18
  return frame || skippable ? 'zstd' : 'none'
}
