/**
 * One task of a boundary's decision, in a worker. `engine/decide.ts` says what each is for.
 */
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { NativeSetWriter } from '../../native/index.js'
import { GristmillError } from '../core/errors.js'
import type { ByteStores } from '../io/store.js'
import { addon, native } from '../kernels/native.js'
import type { IndexedFile } from './against.js'
import type { MinhashPayload } from './plan.js'
import { openSpill, readSegment } from './spill-input.js'
import type { DecideResult, DecideTask, DecideWork, SegmentFile, SegmentRef } from './task.js'

/** What a kernel says of the file it wrote; the rest is counts. */
type Written = Omit<SegmentFile, 'path'> & Readonly<Record<string, number>>

export async function runDecideTask(task: DecideTask, stores: ByteStores): Promise<DecideResult> {
  const { bytes, segments, ...counts } = JSON.parse(await decide(task, stores)) as Written
  return { kind: 'decide', file: { path: task.path, bytes, segments }, counts }
}

async function decide({ work, boundary, path }: DecideTask, stores: ByteStores): Promise<string> {
  const shuffle = boundary.shuffle && JSON.stringify(boundary.shuffle)
  switch (work.kind) {
    case 'against': {
      const { dedup } = boundary
      return withIndex(work.file, { stores, copy: `${path}.parquet` }, (index) =>
        native(() => addon.writeIndexKeys(index, JSON.stringify(dedup), dedup!.partitions, path)),
      )
    }
    case 'exact': {
      const segments = await readSegments(work.keys)
      const tasks = work.keys.map(({ task }) => task)
      const runs = work.keys.map(({ run }) => run)
      const { dedup } = boundary
      if (dedup?.kind !== 'exact') throw new GristmillError('GM_INTERNAL', 'equal rows of another deduplication')
      return native(() => addon.decideDuplicates(runs, tasks, segments, JSON.stringify(dedup.keep), shuffle, path))
    }
    case 'parts':
      return native(() => addon.decideParts([...work.keys], path))
    case 'fit': {
      const plans = boundary.fit!.map(({ parameters }) => parameters)
      const { maxCategories } = boundary.fit![work.index]!
      const segments = await readSegments(work.seen)
      const files = work.seen.map((segment) => segment.path)
      return native(() => addon.decideFit(plans, work.index, files, segments, maxCategories, path))
    }
    case 'buckets': {
      const segments = await readSegments(work.keys)
      const bases = work.keys.map(({ base }) => base)
      return native(() => addon.writeBuckets(bases, segments, work.known, path))
    }
    case 'components':
      return native(() => addon.dealComponents([...work.files], [...work.bases], work.target, path))
    case 'sets':
      return writeSets(work, { options: nearOf({ boundary }), path, stores })
    case 'clusters': {
      const members = await readSegments(work.parts.map((part) => part.members))
      const buckets = await readSegments(work.buckets)
      const parts = work.parts.map(({ run, task, base, sets }) => ({
        ...(run !== undefined && { run }),
        task,
        base,
        sets,
      }))
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
  { from, wanted }: Extract<DecideWork, { kind: 'sets' }>,
  { options, path, stores }: { readonly options: MinhashPayload; readonly path: string; readonly stores: ByteStores },
): Promise<string> {
  const candidates = await readSegment(wanted)
  const writer: NativeSetWriter = native(() => addon.NativeSetWriter.create(path, JSON.stringify(options), candidates))
  try {
    if ('blocks' in from) {
      using file = openSpill(from.path)
      for (const block of from.blocks) native(() => writer.add(file.spill, block))
    } else {
      await withIndex(from, { stores, copy: `${path}.parquet` }, (index) => native(() => writer.addIndex(index)))
    }
    return native(() => writer.finish())
  } finally {
    writer.dispose()
  }
}

/** Works on an index file of an earlier run: the file itself, or a copy of what an object store holds. */
async function withIndex<T>(
  file: IndexedFile,
  { stores, copy }: { readonly stores: ByteStores; readonly copy: string },
  work: (index: string) => T,
): Promise<T> {
  const store = await stores.open(file.url)
  const found = await store.stat(file.name)
  if (found?.bytes !== file.bytes) {
    const state = found ? `has ${found.bytes} bytes, not the ${file.bytes} its manifest states` : 'is missing'
    throw new GristmillError('GM_FORMAT', `the index file ${file.name} of the run ${file.run} ${state}`, {
      hint: `gristmill verify ${file.run} says what else is wrong with it`,
    })
  }
  if (store.localFolder !== undefined) return work(join(store.localFolder, file.name))
  await writeFile(copy, store.stream(file.name, { chunkBytes: () => 2 ** 20 }))
  try {
    return work(copy)
  } finally {
    await rm(copy, { force: true })
  }
}
