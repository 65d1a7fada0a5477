/**
 * `PiiFinder`: private data in text, as kinds and places.
 */
import type {
  NativeEdits,
  NativePiiFinder,
  NativePiiMatch,
  NativeRemovedLog,
  NativeRoutedRows,
} from '../../native/index.js'
import type { Batch } from './batch.js'
import { addon, native } from './native.js'

/** Private data at `start..end` of a text, in bytes of UTF-8. */
export type PiiMatch = Readonly<NativePiiMatch>

export class PiiFinder {
  readonly #handle: NativePiiFinder

  /** Looks for kinds by their names; see `piiKinds`. */
  constructor(kinds: readonly string[]) {
    this.#handle = native(() => new addon.NativePiiFinder([...kinds]))
  }

  /** The matches of one text in order; for looking at, batches go through the others. */
  find(text: string): PiiMatch[] {
    return native(() => this.#handle.find(text))
  }

  /** Puts a text in place of each match, by kind, and records the edits; returns how many rows changed. */
  replace(
    batch: Batch,
    edits: NativeEdits,
    step: string,
    column: string,
    instead: Readonly<Record<string, string>>,
  ): number {
    return batch.change((handle) => this.#handle.replace(handle, edits, step, column, byKind(instead)))
  }

  /** Removes the rows with a match; returns how many. */
  remove(batch: Batch, removed: NativeRemovedLog, step: string, column: string): number {
    return batch.change((handle) => this.#handle.remove(handle, removed, step, column))
  }

  /** Takes the rows with a match to the file of routed rows; returns how many. */
  route(batch: Batch, routed: NativeRoutedRows, step: string, column: string): number {
    return batch.change((handle) => this.#handle.route(handle, routed, step, column))
  }

  /** Sets a column of counts for each kind, under the name given for it. */
  annotate(batch: Batch, column: string, names: Readonly<Record<string, string>>): void {
    batch.change((handle) => this.#handle.annotate(handle, column, byKind(names)))
  }
}

function byKind(texts: Readonly<Record<string, string>>): { kind: string; text: string }[] {
  return Object.entries(texts).map(([kind, text]) => ({ kind, text }))
}

/** Names of the kinds, in the order of the rules. */
export function piiKinds(): string[] {
  return addon.piiKinds()
}
