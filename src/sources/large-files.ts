/**
 * Splits of files that say where their rows lie: row groups, record batches, samples, documents.
 *
 * A small file is one piece, and planned without opening it; pieces are put together as those of other formats are.
 */
import { mapConcurrent } from '../core/concurrent.js'
import { wholeSplit } from '../engine/look.js'
import { groupSplits, SPLIT_BYTES } from './byte-splits.js'
import type { InputFile, Range, Split } from './source.js'

/** Files up to this size are small. */
export const WHOLE_BYTES = 64 << 20

export interface LargeFiles {
  /** Large files that are opened at a time. */
  readonly concurrent: number
  /** Whether a file of more than `WHOLE_BYTES` can be cut; any by default. */
  readonly canCut?: (file: InputFile) => boolean
  /** Estimate of a file's decoded bytes. */
  readonly bytesOf: (file: InputFile) => number
  /** Splits of a large file; undefined of a damaged one: it stays whole, so that reading it reports the damage. */
  readonly cut: (file: InputFile) => Promise<readonly Split[] | undefined>
}

/** Splits in the order of the files. */
export async function cutLarge(files: readonly InputFile[], large: LargeFiles): Promise<Split[]> {
  const { concurrent, canCut = () => true, bytesOf, cut } = large
  const found = files.filter((file) => file.size > WHOLE_BYTES && canCut(file))
  const cuts = await mapConcurrent(
    found,
    concurrent,
    async (file) => (await cut(file)) ?? [wholeSplit(file, bytesOf(file))],
  )
  const byFile = new Map(found.map((file, index) => [file, cuts[index]]))
  return groupSplits(files.map((file) => ({ file, bytes: bytesOf(file), cut: byFile.get(file) })))
}

/** Groups of rows put together in order until they have about 64 MiB. */
export function cutGroups(
  file: InputFile,
  groups: readonly { readonly rows: number; readonly bytes: number }[],
): Split[] {
  const splits: Split[] = []
  let [from, firstRow, rows, bytes] = [0, 0, 0, 0]
  groups.forEach((group, index) => {
    rows += group.rows
    bytes += group.bytes
    const next = groups[index + 1]
    if (next !== undefined && bytes + next.bytes / 2 < SPLIT_BYTES) return
    const range: Range = { kind: 'rowGroups', from, to: index + 1, firstRow }
    splits.push({ kind: 'split', pieces: [{ file, range }], bytes })
    ;[from, firstRow, rows, bytes] = [index + 1, firstRow + rows, 0, 0]
  })
  return splits
}

/** Splits of as many rows each: about 64 MiB of the `storedBytes` that the rows take. */
export function cutEvenly(file: InputFile, rows: number, storedBytes: number, bytes = storedBytes): Split[] {
  const count = Math.min(Math.ceil(storedBytes / SPLIT_BYTES), Math.max(1, rows))
  return Array.from({ length: count }, (_, nth): Split => {
    const [from, to] = [nth, nth + 1].map((at) => Math.floor((at * rows) / count)) as [number, number]
    const range = { kind: 'rowGroups', from, to, firstRow: from } as const
    return { kind: 'split', pieces: [{ file, range }], bytes: bytes / count }
  })
}
