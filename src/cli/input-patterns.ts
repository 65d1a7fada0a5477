/** Globs for a set of files: few, readable, and no wider than the folders the files lie in. */

/** Patterns that match the given relative paths (and what is added beside them later). */
export function inputPatterns(paths: readonly string[]): string[] {
  if (paths.length <= 2) return [...paths]
  const patterns = new Set<string>()
  const common = commonFolder(paths)
  for (const path of paths) {
    const rest = path.slice(common.length)
    const inner = rest.includes('/')
    // Without a common folder `**` would reach everything, earlier runs among it: stay below the first folder.
    const folder = common === '' && inner ? rest.slice(0, rest.indexOf('/') + 1) : common
    const deep = path.slice(folder.length).includes('/')
    patterns.add(`${folder}${deep || inner ? '**/' : ''}*${suffixOf(path)}`)
  }
  const all = [...patterns]
  // `a/**/*.x` covers `a/*.x`.
  return all
    .filter((pattern) => pattern.includes('**/') || !patterns.has(pattern.replace(/\*(?=[^/]*$)/, '**/*')))
    .sort()
}

/** The deepest folder that holds all paths, with its slash; empty when there is none. */
export function commonFolder(paths: readonly string[]): string {
  let common = (paths[0] ?? '').replace(/[^/]*$/, '')
  while (common !== '' && !paths.every((path) => path.startsWith(common))) common = common.replace(/[^/]*\/$/, '')
  return common
}

/** `.jsonl.zst` of `a/part-0.jsonl.zst`. */
function suffixOf(path: string): string {
  return /(\.[a-z0-9]+)?(\.(gz|zst|zstd))?$/i.exec(path)?.[0] ?? ''
}
