/**
 * Final names: shards, removed and routed rows, edits and quarantined records are numbered in output order, once all tasks
 * are done and so their numbers are known.
 */
import type { NativeFinishedFile } from '../../native/index.js'
import { ID_FILTER } from '../kernels/columnar.js'
import type { GatheredFile } from './gather.js'
import type { ManifestFile, ManifestPack, ManifestShard } from './manifest.js'
import type { Publication } from './run-directory.js'
import type { MapResult } from './task.js'
import type { Outcome } from './tasks.js'

export interface PublicationPlan {
  readonly moves: readonly Publication[]
  readonly shards: readonly ManifestShard[]
  readonly removed: readonly (ManifestFile & { readonly rows: number })[]
  readonly routed: readonly (ManifestFile & { readonly step: string; readonly rows: number })[]
  readonly edits: readonly (ManifestFile & { readonly rows: number })[]
  readonly quarantine: readonly (ManifestFile & { readonly rows: number })[]
  /** Index files by the deduplication that left them. */
  readonly indexes: ReadonlyMap<string, readonly (ManifestFile & { readonly rows: number })[]>
  readonly statistics: readonly (ManifestFile & { readonly rows: number })[]
}

export interface PackedFiles {
  readonly pack: Omit<ManifestPack, 'files'>
  /** Names in `work/` and in `packs/`. */
  readonly files: readonly (ManifestFile & { readonly from: string })[]
}

const numbered = (index: number): string => String(index).padStart(5, '0')

/** What moves where, in output order. */
export function publicationOf(
  stages: readonly (readonly Outcome[])[],
  packs: PackedFiles | undefined,
  gathered: readonly GatheredFile[],
): PublicationPlan {
  const moves: Publication[] = []
  const move = (path: string, to: string): string => {
    moves.push({ from: `work/${path}`, to })
    return to
  }
  const shards = (stages.at(-1) ?? [])
    .flatMap(({ result }) => result.shards)
    .map((shard, index): ManifestShard => {
      const name = numbered(index)
      const files = shard.files.map(({ path, suffix, bytes, checksum, blocks }) => ({
        // Apart, so that readers of a folder of shards find shards alone.
        name: move(path, `${suffix === ID_FILTER ? 'ids' : 'shards'}/${name}${suffix}`),
        bytes,
        checksum,
        blocks,
      }))
      return { name, rows: shard.rows, ...(shard.tokens !== undefined && { tokens: shard.tokens }), files }
    })
  const all = stages.flat().map(({ result }) => result)
  const records = (
    files: readonly ((NativeFinishedFile & { readonly rows: number }) | undefined)[],
    folder: string,
    suffix: string,
  ): (ManifestFile & { readonly rows: number })[] =>
    files
      .filter((file) => file !== undefined)
      .map(({ path, rows, bytes, checksum, blocks }, index) => ({
        name: move(path, `${folder}/${numbered(index)}${suffix}`),
        rows,
        bytes,
        checksum,
        blocks,
      }))
  const of = <T>(pick: (result: MapResult) => T): T[] => all.map(pick)
  const removed = records(
    of((result) => result.removed),
    'removed',
    '.parquet',
  )
  const edits = records(
    of((result) => result.edits),
    'edits',
    '.parquet',
  )
  const quarantine = records(
    of((result) => result.quarantine),
    'quarantine',
    '.jsonl',
  )
  const routed = routedFiles(all, move)
  const indexes = new Map<string, (ManifestFile & { readonly rows: number })[]>()
  for (const { path, step, rows, bytes, checksum, blocks } of all.flatMap((result) => result.index ?? [])) {
    const files = indexes.get(step) ?? []
    indexes.set(step, files)
    files.push({ name: move(path, `index/${step}/${numbered(files.length)}.parquet`), rows, bytes, checksum, blocks })
  }
  for (const { from, name } of packs?.files ?? []) move(from, name)
  const statistics = gathered.map(({ from, ...file }) => ({ ...file, name: move(from, file.name) }))
  return { moves, shards, removed, edits, routed, quarantine, indexes, statistics }
}

/** The rows that each step routed, in a folder of its own. */
function routedFiles(
  results: readonly MapResult[],
  move: (path: string, to: string) => string,
): PublicationPlan['routed'] {
  const files = new Map<string, number>()
  return results
    .flatMap((result) => result.routed ?? [])
    .map(({ path, step, rows, bytes, checksum, blocks }) => {
      const number = files.get(step) ?? 0
      files.set(step, number + 1)
      return { name: move(path, `routed/${step}/${numbered(number)}.parquet`), step, rows, bytes, checksum, blocks }
    })
}
