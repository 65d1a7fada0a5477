/**
 * File names as formats see them: the extension, with a compression suffix taken off.
 */

import { extname } from 'node:path'

/** Extensions named in a message. */
const SHOWN = 3

const COMPRESSION = /\.(?:gz|zst|zstd)$/

/** The name without folder and compression suffix, in lower case: `b.jsonl` of `a/B.JSONL.zst`. */
function plainName(path: string): string {
  return path
    .slice(path.lastIndexOf('/') + 1)
    .toLowerCase()
    .replace(COMPRESSION, '')
}

/** Whether a file found in a folder is data of one of these extensions, as in `.jsonl`. */
export function isDataFile(path: string, extensions: readonly string[]): boolean {
  const name = plainName(path)
  return extensions.some((extension) => name.endsWith(extension))
}

/** Hidden files, and what writers such as Spark leave beside data: `_SUCCESS`, `_temporary/`, `_delta_log/`. */
export function isHidden(path: string): boolean {
  return path.split('/').some((segment) => segment.startsWith('.') || segment.startsWith('_'))
}

/** How many files there are of each extension, most frequent first, as in "12 .json, 3 .log". */
export function countExtensions(paths: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const path of paths) {
    const extension = extname(plainName(path)) || 'without one'
    counts.set(extension, (counts.get(extension) ?? 0) + 1)
  }
  const sorted = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
  return sorted
    .slice(0, SHOWN)
    .map(([extension, count]) => `${count} ${extension}`)
    .join(', ')
}
