/**
 * Packing: windows of documents to pieces, windows to the `.npy` files trainers map.
 */
import type { NativePackFiles, NativePackShard, NativePackedWindow, NativeWindowPaths } from '../../native/index.js'
import { addon, native } from './native.js'

/** Documents of a window, in output order; packing never looks further, so that memory is bounded. */
export const PACK_WINDOW_DOCUMENTS = 2 ** 20

/** Longest sequence that can be asked for. */
export const LONGEST_SEQUENCE = 2 ** 24

export interface PackOptions {
  /** Tokens of a full sequence. */
  readonly length: number
  readonly strategy: 'best-fit' | 'concat'
  /** Cuts off what a document has beyond `length`. */
  readonly truncate: boolean
}

/** A token shard: its number and its `.idx` as a local file. */
export type PackShard = Readonly<NativePackShard>
/** Counts of a window and its files. */
export type PackedWindow = Readonly<NativePackedWindow>
/** The three files of a packing, with their checksums. */
export type PackFiles = Readonly<NativePackFiles>

/**
 * Packs the documents [from, to), counted over the shards in the order given, and writes
 * `<prefix>.pieces`, `.documents` and `.boundaries`.
 */
export function packWindow(
  options: PackOptions,
  shards: readonly PackShard[],
  window: { readonly from: number; readonly to: number },
  prefix: string,
): PackedWindow {
  return native(() => addon.packDocuments(JSON.stringify(options), [...shards], window.from, window.to, prefix))
}

/** Joins windows, in order, to `pieces.npy`, `documents.npy` and `boundaries.npy` in `folder`. */
export function assemblePacking(windows: readonly Readonly<NativeWindowPaths>[], folder: string): PackFiles {
  return native(() => addon.assemblePacking([...windows], folder))
}
