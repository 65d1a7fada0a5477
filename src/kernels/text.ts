/**
 * Text operators: the typed face of crates/node/src/text.rs.
 */
import { Batch } from './batch.js'
import { addon, native } from './native.js'

/** What to normalise; see docs of the step `normalize` for the rules and their order. */
export interface NormalizeOptions {
  readonly unescapeHtml: boolean
  readonly form: 'NFC' | 'NFD' | 'NFKC' | 'NFKD' | 'none'
  readonly controls: 'keep' | 'strip' | 'space'
  readonly whitespace: boolean
}

/** Normalises a text column in place; returns how many rows changed. */
export function normalizeText(batch: Batch, column: string, options: NormalizeOptions): number {
  return batch.change((handle) => addon.normalizeText(handle, column, options))
}

export interface ChunkSize {
  /** Code points or tokens of a piece at most. */
  readonly size: number
  /** Of them, how many the piece before ends with. */
  readonly overlap: number
}

/**
 * The selected rows with `text` cut into pieces, as a new batch; the given one stays the caller's. Piece k
 * of a row gets the id `id#k` and the column `chunk`, k; the other columns are the row's.
 */
export function chunkCharacters(batch: Batch, { size, overlap }: ChunkSize, atSpaces: boolean): Batch {
  return new Batch(native(() => addon.chunkCharacters(batch.handle, size, overlap, atSpaces)))
}

/** As `chunkCharacters`, for a column of tokens; the columns in `leaveOut` are dropped. */
export function chunkTokens(batch: Batch, column: string, { size, overlap }: ChunkSize, leaveOut: string[]): Batch {
  return new Batch(native(() => addon.chunkTokens(batch.handle, column, size, overlap, leaveOut)))
}
