/**
 * What two runs removed, compared: the typed face of crates/node/src/removed_diff.rs.
 */
import type { NativeDiffInput, NativeRemovedDiff, NativeRowPlace, NativeRule } from '../../native/index.js'
import { addon, native } from './native.js'

export type Rule = NativeRule

export interface Changed {
  readonly change: 'removed' | 'returned' | 'moved' | 'same' | 'elsewhere'
  readonly before?: Rule
  readonly after?: Rule
  readonly rows: number
  readonly samples: readonly NativeRowPlace[]
}

export class RemovedDiff implements Disposable {
  readonly #handle: NativeRemovedDiff

  /** Compares runs over these inputs; `scratch` is a folder for files that go with the comparison. */
  constructor(inputs: readonly NativeDiffInput[], scratch: string, samples: number) {
    this.#handle = native(() => new addon.NativeRemovedDiff([...inputs], scratch, samples))
  }

  /** Adds a file of removed-row records of the first (0) or second (1) run. */
  addFile(side: 0 | 1, path: string): void {
    native(() => this.#handle.addFile(side, path))
  }

  /** Adds one row that left in another way than through a step. */
  addRow(side: 0 | 1, { file, position }: NativeRowPlace, { step, rule }: Rule): void {
    native(() => this.#handle.addRow(side, file, position, step, rule))
  }

  /** Compares and ends the comparison. */
  finish(): Changed[] {
    return native(() => this.#handle.finish()).map(({ change, before, after, rows, samples }) => ({
      change: change as Changed['change'],
      ...(before && { before }),
      ...(after && { after }),
      rows,
      samples,
    }))
  }

  [Symbol.dispose](): void {
    this.#handle.dispose()
  }
}
