/**
 * How rows left two runs, compared: the typed face of crates/node/src/removed_diff.rs.
 */
import type { NativeDiffInput, NativeDiffSample, NativeRemovedDiff, NativeRule } from '../../native/index.js'
import { addon, native } from './native.js'

/** A step and a rule within it, by which a row left. */
export interface Rule extends NativeRule {
  readonly outcome: 'removed' | 'quarantined' | 'routed'
}

export interface Changed {
  readonly change: 'removed' | 'routed' | 'returned' | 'moved' | 'same' | 'elsewhere'
  readonly before?: Rule
  readonly after?: Rule
  readonly rows: number
  readonly samples: readonly NativeDiffSample[]
}

export class RemovedDiff implements Disposable {
  readonly #handle: NativeRemovedDiff

  /** Compares runs over these inputs; `scratch` is a folder for files that go with the comparison. */
  constructor(inputs: readonly NativeDiffInput[], scratch: string, samples: number) {
    this.#handle = native(() => new addon.NativeRemovedDiff([...inputs], scratch, samples))
  }

  /** Adds a file of removed-row records of the first (0) or second (1) run, or of the rows that a step routed. */
  addFile(side: 0 | 1, path: string, routedBy?: string): void {
    native(() => this.#handle.addFile(side, path, routedBy))
  }

  /** Adds a record of the first (0) or second (1) run that could not be read. */
  addQuarantined(side: 0 | 1, file: string, position: number, code: string): void {
    native(() => this.#handle.addQuarantined(side, file, position, code))
  }

  /** Compares and ends the comparison. */
  finish(): Changed[] {
    return native(() => this.#handle.finish()).map(({ change, before, after, rows, samples }) => ({
      change: change as Changed['change'],
      ...(before && { before: before as Rule }),
      ...(after && { after: after as Rule }),
      rows,
      samples,
    }))
  }

  [Symbol.dispose](): void {
    this.#handle.dispose()
  }
}
