/**
 * The start of a stage after a global step: spilled rows come back without those the step removed, in
 * their own order or, after a shuffle, in the order of their keys.
 */
import { open, type FileHandle } from 'node:fs/promises'
import type { NativeRemovedLog, NativeVerdict } from '../../native/index.js'
import { ioError } from '../core/errors.js'
import { Batch } from '../kernels/batch.js'
import { addon, native } from '../kernels/native.js'
import type { TaskContext } from './map-task.js'
import type { SegmentRef, SpillBlock, TaskDecisions, TaskInput } from './task.js'

/** Bytes of a batch that comes out of a bucket. */
const BATCH_BYTES = 2 * 2 ** 20

export async function* readSpill(
  input: Exclude<TaskInput, { kind: 'split' }>,
  removed: NativeRemovedLog,
  context: TaskContext,
  consumed: (bytes: number) => void,
): AsyncGenerator<Batch> {
  const verdict = await loadVerdict(input.decisions)
  if (input.kind === 'spill') {
    for await (const { bytes, block } of readBlocks(input.spill.path, input.spill.blocks)) {
      consumed(bytes.length)
      yield new Batch(native(() => addon.readSpillBlock(bytes, block.checksum, verdict, removed)))
    }
    return
  }
  const sorter = new addon.NativeBucketSorter()
  try {
    for (const { task, path, blocks } of input.spills) {
      for await (const { bytes, block } of readBlocks(path, blocks)) {
        context.checkStop()
        consumed(bytes.length)
        native(() => sorter.add(bytes, block.checksum, task, verdict, removed))
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

async function loadVerdict({ duplicates, dedupLabel, sampleThreshold }: TaskDecisions): Promise<NativeVerdict> {
  const verdict = new addon.NativeVerdict()
  for (const segment of duplicates) {
    const bytes = await readSegment(segment)
    native(() => verdict.addDuplicates(bytes, dedupLabel))
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

/** Blocks in file order, the next one being read while the caller works on this one. */
async function* readBlocks(
  path: string,
  blocks: readonly SpillBlock[],
): AsyncGenerator<{ bytes: Buffer; block: SpillBlock }> {
  if (blocks.length === 0) return
  const file = await openScratch(path)
  let ahead: Promise<Buffer> | undefined
  try {
    const read = (index: number): Promise<Buffer> => {
      const reading = readExactly(file, path, blocks[index]!.offset, blocks[index]!.length)
      reading.catch(() => {}) // Reported when awaited; an abandoned read-ahead must not be unhandled.
      return reading
    }
    ahead = read(0)
    for (const [index, block] of blocks.entries()) {
      const bytes = await ahead!
      ahead = index + 1 < blocks.length ? read(index + 1) : undefined
      yield { bytes, block }
    }
  } finally {
    await ahead?.catch(() => {})
    await file.close()
  }
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
