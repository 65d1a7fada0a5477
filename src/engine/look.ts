/**
 * Reading input beside a run: to sample it, to find a row again, to show some. Nothing is counted or recorded;
 * what is wrong with the input is the run's to tell.
 */
import type { ByteStores } from '../io/store.js'
import type { InputFile, ReadContext, Split } from '../sources/source.js'

/** What a source is read with. */
export function lookContext(
  stores: ByteStores,
  chunkBytes: number,
  signal: AbortSignal = new AbortController().signal,
): ReadContext {
  return {
    stores,
    chunkBytes: () => chunkBytes,
    reject: () => undefined,
    pruned: () => undefined,
    truncated: () => undefined,
    consumed: () => undefined,
    signal,
  }
}

/** A file as one split; `bytes` are what it holds, decoded. */
export function wholeSplit(file: InputFile, bytes: number = file.size): Split {
  return { kind: 'split', pieces: [{ file, range: { kind: 'whole' } }], bytes }
}
