/**
 * Statistics of a corpus: the typed face of crates/node/src/stats.rs.
 */
import type { NativeFinishedFile, NativeStats, NativeStepShare } from '../../native/index.js'
import type { Batch } from './batch.js'
import { addon, fromNative, native } from './native.js'

/** What is counted; see crates/kernels/src/stats. */
export interface StatsOptions {
  /** The text column. */
  readonly column: string
  /** Text columns whose values group the rows. */
  readonly by: readonly string[]
  /** Lengths of n-grams, in words; rising. */
  readonly ngrams: readonly number[]
  /** N-grams of each list that are written. */
  readonly top: number
  readonly whitespaceWords: boolean
  /** Column of language codes, which decides how Han and kana are cut. */
  readonly languageColumn?: string | undefined
  /** The language of all rows, whatever the column says. */
  readonly language?: string | undefined
}

/** Rows of one value of a grouping column, or all rows where `column` is null. */
export interface GroupStatistics {
  readonly column: string | null
  readonly value: string | null
  /** The second column and its value, where rows are grouped by two. */
  readonly otherColumn?: string
  readonly otherValue?: string
  readonly rows: number
  /** Rows whose text is null; they are in no histogram. */
  readonly withoutText: number
  readonly lengths: readonly {
    readonly unit: 'bytes' | 'characters' | 'words'
    readonly total: number
    /** Texts with length in [from, to), in rising order; empty bins are left out. */
    readonly bins: readonly { readonly from: number; readonly to: number; readonly count: number }[]
  }[]
  readonly ngrams: readonly {
    readonly n: number
    /** Occurrences of all n-grams. */
    readonly total: number
    /** By how much a count may be too low; 0 when counts are exact. */
    readonly maxError: number
    /** The most frequent ones with their counts. */
    readonly top: readonly (readonly [ngram: string, count: number])[]
  }[]
}

/** What is shown of a corpus: all rows, groups by column, groups by two columns; those of the most rows first. */
export interface Statistics {
  readonly groups: readonly GroupStatistics[]
  /** Groups of one column that are in the files alone. */
  readonly moreGroups: number
  /** Such groups of two columns. */
  readonly morePairs: number
  /** Columns that have too many values to group by. */
  readonly leftOut: readonly string[]
  /** Two columns that have too many values together, but not each alone. */
  readonly leftOutPairs: readonly (readonly string[])[]
}

export interface MergedStats {
  /** `groups`, `lengths` and, where n-grams were counted, `ngrams`. */
  readonly files: readonly { readonly name: string; readonly rows: number; readonly file: NativeFinishedFile }[]
  readonly summary: Statistics
}

/** Counts the rows of one task. */
export class StatsCollector implements Disposable {
  readonly #handle: NativeStats

  constructor(options: StatsOptions) {
    this.#handle = native(() => new addon.NativeStats(JSON.stringify(options)))
  }

  /** Counts the selected rows, which stay as they are. */
  add(batch: Batch): void {
    batch.change((handle) => this.#handle.add(handle))
  }

  /** Writes what was counted to a file for `mergeStats`. */
  finish(file: string): NativeFinishedFile {
    return native(() => this.#handle.finish(file))
  }

  [Symbol.dispose](): void {
    this.#handle.dispose()
  }
}

/** Adds the files of tasks up, in order, off this thread; writes `<prefix><name>.parquet`. */
export async function mergeStats(
  tasks: readonly string[],
  options: StatsOptions,
  prefix: string,
): Promise<MergedStats> {
  const merged = native(() => addon.mergeStats([...tasks], JSON.stringify(options), prefix))
  const json = await merged.catch((error: unknown) => {
    throw fromNative(error)
  })
  return JSON.parse(json) as MergedStats
}

/** Writes what steps kept and removed of each source and language. */
export function writeStepShares(file: string, shares: readonly Readonly<NativeStepShare>[]): NativeFinishedFile {
  return native(() => addon.writeStepShares(file, [...shares]))
}
