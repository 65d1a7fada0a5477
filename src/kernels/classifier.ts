/**
 * `Classifier`: a fastText model in native memory, one copy for all threads of the process.
 */
import type { NativeClassifier, NativeClassifyOptions, NativeRemovedLog } from '../../native/index.js'
import type { Batch } from './batch.js'
import { addon, native } from './native.js'

/** What becomes of the rows of a batch. */
export type ClassifyOptions = Readonly<NativeClassifyOptions>

export class Classifier implements Disposable {
  readonly #handle: NativeClassifier

  private constructor(handle: NativeClassifier) {
    this.#handle = handle
  }

  /**
   * Reads a `.bin` or `.ftz` file. With `contentHash` (of an earlier load) the file is read only when the
   * process does not hold it, and must have that content.
   */
  static load(path: string, contentHash?: string): Classifier {
    return new Classifier(native(() => addon.NativeClassifier.load(path, contentHash)))
  }

  /** XXH3-128 of the file, 32 hexadecimal digits. */
  get contentHash(): string {
    return native(() => this.#handle.contentHash)
  }

  /** The labels without `__label__`, as the file orders them. */
  get labels(): string[] {
    return native(() => this.#handle.labels)
  }

  /** The best label of one text; undefined when it has no words. For looking at, batches go through `apply`. */
  top(text: string): { label: string; score: number } | undefined {
    return native(() => this.#handle.top(text)) ?? undefined
  }

  /** Sets the columns of labels and scores and removes the rows that fail; returns how many. */
  apply(batch: Batch, removed: NativeRemovedLog, step: string, options: ClassifyOptions): number {
    return batch.change((handle) => this.#handle.apply(handle, removed, step, options))
  }

  [Symbol.dispose](): void {
    this.#handle.dispose()
  }
}
