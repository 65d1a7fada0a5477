/**
 * `ContaminationIndex`: the n-grams of benchmarks in native memory, one copy for all threads of the process.
 */
import type {
  NativeBenchmarkFile,
  NativeContaminationIndex,
  NativeCutOptions,
  NativeEdits,
  NativeRemovedLog,
  NativeUnusableItem,
} from '../../native/index.js'
import type { Batch } from './batch.js'
import { addon, native } from './native.js'

/** What the index is made of. */
export interface Benchmarks {
  readonly files: readonly Readonly<NativeBenchmarkFile>[]
  /** Fields whose texts make an item, in this order. */
  readonly fields: readonly string[]
  /** Words of an n-gram. */
  readonly ngram: number
}

export type CutOptions = Readonly<NativeCutOptions>

export class ContaminationIndex implements Disposable {
  readonly #handle: NativeContaminationIndex

  private constructor(handle: NativeContaminationIndex) {
    this.#handle = handle
  }

  /**
   * Reads benchmark files. With `contentHash` (of an earlier load) they are read only when the process does not
   * hold the index, and must have that content.
   */
  static load({ files, fields, ngram }: Benchmarks, contentHash?: string): ContaminationIndex {
    return new ContaminationIndex(
      native(() => addon.NativeContaminationIndex.load([...files], [...fields], ngram, contentHash)),
    )
  }

  /** A hash of the files and of how they were read, 32 hexadecimal digits. */
  get contentHash(): string {
    return native(() => this.#handle.contentHash)
  }

  /** How many items are looked for. */
  get items(): number {
    return native(() => this.#handle.items)
  }

  /** The items that are too short to be looked for. */
  get unusable(): readonly Readonly<NativeUnusableItem>[] {
    return native(() => this.#handle.unusable)
  }

  /** Removes the rows that hold more than `threshold` of an item's n-grams; returns how many. */
  remove(batch: Batch, removed: NativeRemovedLog, step: string, column: string, threshold: number): number {
    return batch.change((handle) => this.#handle.remove(handle, removed, step, column, threshold))
  }

  /** Cuts the n-grams of items out of the rows that hold too many of them; returns how many rows were cut. */
  cut(
    batch: Batch,
    logs: { readonly edits: NativeEdits; readonly removed: NativeRemovedLog; readonly step: string },
    column: string,
    options: CutOptions,
  ): number {
    const { edits, removed, step } = logs
    return batch.change((handle) => this.#handle.cut(handle, edits, removed, step, column, options))
  }

  /** Sets the columns `contamination`, `contamination_item` and `contamination_ngram`. */
  annotate(batch: Batch, column: string): void {
    batch.change((handle) => this.#handle.annotate(handle, column))
  }

  [Symbol.dispose](): void {
    this.#handle.dispose()
  }
}
