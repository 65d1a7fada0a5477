/**
 * Published filters at work: the typed face of crates/node/src/quality.rs.
 */
import type { NativeEdits, NativeQualityFilter, NativeRemovedLog } from '../../native/index.js'
import type { Batch } from './batch.js'
import { addon, native } from './native.js'

/** Limits of one language or several. */
export interface LimitSet {
  /** By the name of the rule; null switches it off. */
  readonly limits: Readonly<Record<string, number | null>>
  readonly stopWords?: readonly string[]
}

/** Which set a row is held against. */
export interface LanguageSets {
  /** Column of language codes. */
  readonly column?: string | undefined
  /** The language of every row, whatever the column says. */
  readonly fixed?: string | undefined
  /** Sets by lower-case code. */
  readonly codes: Readonly<Record<string, number>>
  /** Set of rows without a language, mostly in Latin script. */
  readonly latin: number
  /** Set of all other rows. */
  readonly other: number
}

/** What every filter is told. */
export interface FilterSettings {
  readonly column: string
  /** Add columns instead of removing rows. */
  readonly annotate: boolean
  /** What the names of these columns begin with. */
  readonly prefix: string
  readonly whitespaceWords?: boolean
  readonly languages?: LanguageSets
  readonly sets: readonly LimitSet[]
}

export interface FilterLogs {
  readonly removed: NativeRemovedLog
  readonly edits: NativeEdits
  /** The step's name in the records. */
  readonly step: string
}

/** A filter with its options; `filter` are those of its own. Keeps tables between batches, no rows. */
export class QualityFilter {
  readonly #native: NativeQualityFilter

  constructor(name: string, settings: FilterSettings, filter: unknown) {
    const json = JSON.stringify({ settings, filter })
    this.#native = native(() => new addon.NativeQualityFilter(name, json))
  }

  /** Hash of the files it read; null where there are none. */
  get contentHash(): string | null {
    return native(() => this.#native.contentHash)
  }

  /** All measures of a row, each with the rules in force for its language; null where there was nothing to measure. */
  held(batch: Batch, row: number): { name: string; value: number | null; threshold?: number; passes?: boolean }[] {
    const all = batch.change((handle) => this.#native.held(handle, row))
    return all.map((one) => ({ ...one, value: Number.isNaN(one.value) ? null : one.value }))
  }

  /** Runs over the selected rows in place; returns how many were removed. */
  run(batch: Batch, { removed, edits, step }: FilterLogs): number {
    return batch.change((handle) => this.#native.run(handle, removed, edits, step))
  }
}
