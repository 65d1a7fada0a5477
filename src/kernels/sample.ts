/**
 * Sampling by a hash of row identity: the typed face of the like-named parts of crates/node/src/rows.rs.
 */
import type { NativeRemovedLog } from '../../native/index.js'
import type { Batch } from './batch.js'
import { addon, native } from './native.js'

/** A 64-bit hash of each row's file, position (and number in the column `chunk`); nothing else goes in. */
export function rowHashes(batch: Batch, seed: number): BigUint64Array {
  return native(() => addon.rowHashes(batch.handle, seed))
}

export interface SampleOptions {
  readonly step: string
  readonly seed: number
  /** Share of all hashes whose rows stay, 0 to 1. */
  readonly fraction: number
}

/** Keeps a fraction of the rows and records the others; returns how many left. */
export function sampleRows(batch: Batch, removed: NativeRemovedLog, { step, seed, fraction }: SampleOptions): number {
  return batch.change((handle) => addon.sampleRows(handle, removed, step, seed, fraction))
}
