/**
 * File names as formats see them: the extension, with a compression suffix taken off.
 */

const COMPRESSION = /\.(?:gz|zst|zstd)$/

/** Extensions of every data format, for sources that state no format. */
export const DATA_EXTENSIONS: readonly string[] = [
  '.jsonl',
  '.ndjson',
  '.json',
  '.parquet',
  '.csv',
  '.tsv',
  '.txt',
  '.md',
  '.arrow',
  '.arrows',
  '.feather',
  '.ipc',
]

/** The extension that tells the format, in lower case: `.jsonl` of `a/B.JSONL.zst`; '' when there is none. */
export function dataExtension(name: string): string {
  const plain = name
    .slice(name.lastIndexOf('/') + 1)
    .toLowerCase()
    .replace(COMPRESSION, '')
  const dot = plain.lastIndexOf('.')
  return dot <= 0 ? '' : plain.slice(dot)
}

/** Whether a file found in a folder is data of these extensions (of any known ones when undefined). */
export function isDataFile(name: string, extensions: readonly string[] | undefined): boolean {
  return (extensions ?? DATA_EXTENSIONS).includes(dataExtension(name))
}

/** Hidden files, and what writers such as Spark leave beside data: `_SUCCESS`, `_temporary/`, `_delta_log/`. */
export function isHidden(path: string): boolean {
  return path.split('/').some((segment) => segment.startsWith('.') || segment.startsWith('_'))
}

/** How many files there are of each extension, most frequent first, as in "12 .json, 3 .log". */
export function countExtensions(paths: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const path of paths) counts.set(dataExtension(path), (counts.get(dataExtension(path)) ?? 0) + 1)
  const sorted = [...counts].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
  return sorted
    .slice(0, 3)
    .map(([extension, count]) => `${count} ${extension || 'without one'}`)
    .join(', ')
}
