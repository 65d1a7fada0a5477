/**
 * The start of a stage after a global step: spilled rows come back without those the step removed, in
 * their own order or, after a shuffle, in the order of their keys.
 */
import { open, type FileHandle } from 'node:fs/promises'
import type { NativeEdits, NativeRemovedLog, NativeSpillFile, NativeVerdict } from '../../native/index.js'
import { ioError } from '../core/errors.js'
import { Batch } from '../kernels/batch.js'
import { addon, native } from '../kernels/native.js'
import type { TaskContext } from './map-task.js'
import type { SegmentRef, TaskDecisions, TaskInput } from './task.js'

/** Bytes of a batch that comes out of a bucket. */
const BATCH_BYTES = 2 * 2 ** 20

export async function* readSpill(
  input: Exclude<TaskInput, { kind: 'split' }>,
  { removed, edits }: { readonly removed: NativeRemovedLog; readonly edits: NativeEdits },
  context: TaskContext,
  consumed: (bytes: number) => void,
): AsyncGenerator<Batch> {
  const verdict = await loadVerdict(input.decisions)
  if (input.kind === 'spill') {
    using file = openSpill(input.spill.path)
    for (const block of input.spill.blocks) {
      consumed(block.length)
      yield new Batch(native(() => file.spill.read(block, verdict, removed, edits)))
    }
    return
  }
  const sorter = new addon.NativeBucketSorter()
  try {
    for (const { task, path, blocks } of input.spills) {
      using file = openSpill(path)
      for (const block of blocks) {
        context.checkStop()
        consumed(block.length)
        native(() => sorter.add(file.spill, block, task, verdict, removed))
      }
    }
    native(() => sorter.sort())
    while (true) {
      const batch = native(() => sorter.next(BATCH_BYTES))
      if (!batch) return
      yield new Batch(batch)
    }
  } finally {
    sorter.dispose()
  }
}

/** Parameters that were found for steps of the stage, as JSON by the steps' labels. */
export async function loadFitted(input: TaskInput): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  if (input.kind === 'split') return found
  for (const { step, ...ref } of input.decisions.fitted) found.set(step, (await readSegment(ref)).toString('utf8'))
  return found
}

async function loadVerdict({ duplicates, dedup, sampleThreshold }: TaskDecisions): Promise<NativeVerdict> {
  const verdict = new addon.NativeVerdict()
  for (const segment of duplicates) {
    const bytes = await readSegment(segment)
    const { step, rule, threshold, cut } = dedup
    native(() =>
      cut
        ? verdict.addCuts(bytes, step, rule, cut.column, cut.by)
        : verdict.addDuplicates(bytes, step, rule, threshold),
    )
  }
  if (sampleThreshold) {
    native(() => verdict.setSample(sampleThreshold.seed, sampleThreshold.hash, sampleThreshold.label))
  }
  return verdict
}

/** The bytes of a segment. */
export async function readSegment({ path, offset, length }: SegmentRef): Promise<Buffer> {
  const file = await openScratch(path)
  try {
    return await readExactly(file, path, offset, length)
  } finally {
    await file.close()
  }
}

/** A spill is read by native code on the worker's own thread: as its bytes they would only be copied, and collected as garbage. */
export function openSpill(path: string): Disposable & { readonly spill: NativeSpillFile } {
  const spill = native(() => addon.NativeSpillFile.open(path))
  return { spill, [Symbol.dispose]: () => spill.dispose() }
}

async function openScratch(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (cause) {
    throw ioError(`read the scratch file ${path}`, cause)
  }
}

async function readExactly(file: FileHandle, path: string, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled)
    if (bytesRead === 0) throw ioError(`read ${length} bytes at ${offset} of ${path}`, new Error('the file is shorter'))
    filled += bytesRead
  }
  return bytes
}
