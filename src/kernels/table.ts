/**
 * `Table`: columns changed by parameters, which come as JSON. The typed face of crates/node/src/tabular.rs.
 */
import type { NativeRemovedLog } from '../../native/index.js'
import type { Batch, ColumnType } from './batch.js'
import { addon, native } from './native.js'

export interface TableOptions {
  /** What becomes of a category that is not known; the run stops by default. */
  readonly unknown?: 'error' | 'ignore' | undefined
  /** The ordinal of these where they are ignored; null without it. */
  readonly unknownValue?: number | undefined
  /** Types of columns that come in as another kind of number than their parameters state. */
  readonly types?: Readonly<Record<string, ColumnType>> | undefined
}

export class Table {
  readonly #handle: InstanceType<typeof addon.NativeTable>

  /** Reads parameters; throws GM_FORMAT or GM_FIT when they cannot be used. */
  constructor(parameters: string, options: TableOptions) {
    this.#handle = native(() => new addon.NativeTable(parameters, JSON.stringify(options)))
  }

  /** Changes a batch; rows that a column drops are removed and recorded. */
  apply(batch: Batch, removed: NativeRemovedLog, step: string): void {
    batch.change((handle) => this.#handle.apply(handle, removed, step))
  }
}
