/**
 * The end of a stage that a global step follows: rows go to a spill, what the step decides by goes beside.
 */
import type { NativeBandKeyWriter, NativeKeyWriter, NativeSmallest, NativeSpillWriter } from '../../native/index.js'
import type { Batch } from '../kernels/batch.js'
import { addon, native } from '../kernels/native.js'
import type { Boundary, DedupBoundary } from './plan.js'
import type { MapResult, SegmentFile, SpillFile } from './task.js'

export class SpillOutput implements Disposable {
  readonly #spillPath: string
  readonly #keysPath: string
  readonly #spill: NativeSpillWriter
  readonly #keys: NativeKeyWriter | NativeBandKeyWriter | undefined
  readonly #smallest: NativeSmallest | undefined

  constructor(spillPath: string, keysPath: string, { dedup, sample, shuffle }: Boundary) {
    this.#spillPath = spillPath
    this.#keysPath = keysPath
    this.#spill = native(() => addon.NativeSpillWriter.create(spillPath, shuffle && JSON.stringify(shuffle)))
    this.#keys = dedup && keyWriter(dedup)
    this.#smallest = sample && new addon.NativeSmallest(sample.count, sample.seed)
  }

  write(batch: Batch): void {
    native(() => {
      this.#keys?.add(batch.handle)
      this.#smallest?.add(batch.handle)
      this.#spill.write(batch.handle)
    })
  }

  finish(): Pick<MapResult, 'shards' | 'spill' | 'keys' | 'sample'> & { bytes: number } {
    return native(() => {
      const path = this.#keysPath
      const spill = { path: this.#spillPath, ...(JSON.parse(this.#spill.finish()) as Omit<SpillFile, 'path'>) }
      const keys = this.#keys && { path, ...(JSON.parse(this.#keys.finish(path)) as Omit<SegmentFile, 'path'>) }
      return { shards: [], spill, keys, sample: this.#smallest?.finish(), bytes: spill.bytes }
    })
  }

  [Symbol.dispose](): void {
    this.#spill.dispose()
    this.#keys?.dispose()
  }
}

function keyWriter(dedup: DedupBoundary): NativeKeyWriter | NativeBandKeyWriter {
  const options = JSON.stringify(dedup)
  return native(() =>
    dedup.kind === 'exact'
      ? addon.NativeKeyWriter.create(options)
      : addon.NativeBandKeyWriter.create(options, dedup.partitions),
  )
}
