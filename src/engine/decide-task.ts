/**
 * The reduce of an exact deduplication: one partition of every task's keys, decided.
 */
import { addon, native } from '../kernels/native.js'
import { readSegment } from './spill-input.js'
import type { DecideResult, DecideTask, SegmentFile } from './task.js'

export async function runDecideTask({ keys, boundary, path }: DecideTask): Promise<DecideResult> {
  const segments: Buffer[] = []
  for (const key of keys) segments.push(await readSegment(key))
  const { keep } = boundary.dedup!
  const shuffle = boundary.shuffle && JSON.stringify(boundary.shuffle)
  const written = native(() =>
    addon.decideDuplicates(
      keys.map((key) => key.task),
      segments,
      JSON.stringify(keep),
      shuffle,
      path,
    ),
  )
  return { kind: 'decide', file: { path, ...(JSON.parse(written) as Omit<SegmentFile, 'path'>) } }
}
