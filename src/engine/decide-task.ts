/**
 * One task of a deduplication's decision, in a worker. `engine/decide.ts` says what each is for.
 */
import type { NativeSetWriter } from '../../native/index.js'
import { GristmillError } from '../core/errors.js'
import { addon, native } from '../kernels/native.js'
import type { MinhashPayload } from './plan.js'
import { openSpill, readSegment } from './spill-input.js'
import type { DecideResult, DecideTask, DecideWork, SegmentFile, SegmentRef } from './task.js'

/** What a kernel says of the file it wrote; the rest is counts. */
type Written = Omit<SegmentFile, 'path'> & Readonly<Record<string, number>>

export async function runDecideTask(task: DecideTask): Promise<DecideResult> {
  const { bytes, segments, ...counts } = JSON.parse(await decide(task)) as Written
  return { kind: 'decide', file: { path: task.path, bytes, segments }, counts }
}

async function decide({ work, boundary, path }: DecideTask): Promise<string> {
  const shuffle = boundary.shuffle && JSON.stringify(boundary.shuffle)
  switch (work.kind) {
    case 'exact': {
      const segments = await readSegments(work.keys)
      const tasks = work.keys.map(({ task }) => task)
      const keep = JSON.stringify(boundary.dedup!.keep)
      return native(() => addon.decideDuplicates(tasks, segments, keep, shuffle, path))
    }
    case 'buckets': {
      const segments = await readSegments(work.keys)
      const bases = work.keys.map(({ base }) => base)
      return native(() => addon.writeBuckets(bases, segments, path))
    }
    case 'components':
      return native(() => addon.dealComponents([...work.files], [...work.bases], work.target, path))
    case 'sets':
      return writeSets(work, nearOf({ boundary }), path)
    case 'clusters': {
      const members = await readSegments(work.parts.map((part) => part.members))
      const buckets = await readSegments(work.buckets)
      const parts = work.parts.map(({ task, base, sets }) => ({ task, base, sets }))
      const options = JSON.stringify(nearOf({ boundary }))
      return native(() => addon.decideClusters(parts, members, buckets, options, shuffle, path))
    }
  }
}

function nearOf({ boundary }: Pick<DecideTask, 'boundary'>): MinhashPayload {
  if (boundary.dedup?.kind !== 'minhash') throw new GristmillError('GM_INTERNAL', 'clusters of another deduplication')
  return boundary.dedup
}

async function readSegments(refs: readonly SegmentRef[]): Promise<Buffer[]> {
  const segments: Buffer[] = []
  for (const ref of refs) segments.push(await readSegment(ref))
  return segments
}

async function writeSets(
  { spill, wanted }: Extract<DecideWork, { kind: 'sets' }>,
  options: MinhashPayload,
  path: string,
): Promise<string> {
  const candidates = await readSegment(wanted)
  const writer: NativeSetWriter = native(() => addon.NativeSetWriter.create(path, JSON.stringify(options), candidates))
  try {
    using file = openSpill(spill.path)
    for (const block of spill.blocks) native(() => writer.add(file.spill, block))
    return native(() => writer.finish())
  } finally {
    writer.dispose()
  }
}
