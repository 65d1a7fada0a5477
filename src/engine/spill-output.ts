/**
 * The end of a stage that a global step follows: rows go to a spill, what the step decides by goes beside.
 */
import type { NativeKeyWriter, NativeSmallest, NativeSpillWriter } from '../../native/index.js'
import type { Batch } from '../kernels/batch.js'
import { addon, native } from '../kernels/native.js'
import type { Boundary, DedupBoundary, FitBoundary } from './plan.js'
import type { MapResult, SegmentFile, SpillFile } from './task.js'

export class SpillOutput implements Disposable {
  readonly #spillPath: string
  readonly #keysPath: string
  readonly #spill: NativeSpillWriter
  /** Writes what the boundary decides by. */
  readonly #keys: NativeKeyWriter | undefined
  readonly #smallest: NativeSmallest | undefined

  constructor(spillPath: string, keysPath: string, { dedup, sample, shuffle, fit }: Boundary) {
    this.#spillPath = spillPath
    this.#keysPath = keysPath
    // Near-duplicates take a while to decide, and read the rows of candidates once more.
    const compressed = dedup?.kind === 'minhash'
    this.#spill = native(() =>
      addon.NativeSpillWriter.create(spillPath, shuffle && JSON.stringify(shuffle), compressed),
    )
    this.#keys = fit ? collector(fit, keysPath) : dedup && keyWriter(dedup, keysPath)
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
      const keys = this.#keys && { path, ...(JSON.parse(this.#keys.finish()) as Omit<SegmentFile, 'path'>) }
      return { shards: [], spill, keys, sample: this.#smallest?.finish(), bytes: spill.bytes }
    })
  }

  [Symbol.dispose](): void {
    this.#spill.dispose()
    this.#keys?.dispose()
  }
}

function collector(fit: readonly FitBoundary[], path: string): NativeKeyWriter {
  const steps = fit.map(({ parameters, without }) => ({ plan: JSON.parse(parameters) as unknown, without }))
  return native(() => addon.NativeKeyWriter.fit(path, JSON.stringify({ steps })))
}

function keyWriter(dedup: DedupBoundary, path: string): NativeKeyWriter {
  const options = JSON.stringify(dedup)
  return native(() => {
    switch (dedup.kind) {
      case 'exact':
        return addon.NativeKeyWriter.exact(path, options)
      case 'minhash':
        return addon.NativeKeyWriter.bands(path, options, dedup.partitions)
      case 'parts':
        return addon.NativeKeyWriter.parts(path, options)
    }
  })
}
