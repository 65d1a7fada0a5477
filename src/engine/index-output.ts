/**
 * Writes the index of a deduplication beside a task's output: the rows that it left, as the task reads them.
 */
import type { NativeFinishedFile, NativeIndexWriter } from '../../native/index.js'
import type { Batch } from '../kernels/batch.js'
import { addon, native } from '../kernels/native.js'
import type { DedupBoundary } from './plan.js'

/** An index file of a task, and the deduplication it is of. */
export type TaskIndex = NativeFinishedFile & { readonly rows: number; readonly step: string }

export class IndexOutput implements Disposable {
  readonly #step: string
  readonly #writer: NativeIndexWriter

  constructor(file: string, dedup: DedupBoundary) {
    this.#step = dedup.label
    this.#writer = native(() => addon.NativeIndexWriter.create(file, JSON.stringify(dedup)))
  }

  /** Adds the rows of a batch that the deduplication left. */
  add(batch: Batch): void {
    native(() => this.#writer.add(batch.handle))
  }

  /** Closes the file; undefined when no row came. */
  finish(): TaskIndex | undefined {
    const rows = this.#writer.rows
    return rows === 0 ? undefined : { ...native(() => this.#writer.finish()), rows, step: this.#step }
  }

  [Symbol.dispose](): void {
    this.#writer.dispose()
  }
}
