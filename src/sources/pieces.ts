/**
 * Opens the pieces of a split: the bytes of each range in chunks, and what a reader must know about them.
 *
 * Small files are read ahead, several at a time, since opening each costs more than reading it.
 */
import type { RangeStart } from '../kernels/readers.js'
import type { ByteStores } from '../io/store.js'
import { splitName } from './compression.js'
import type { Piece } from './source.js'
import { peekStandardInput } from './standard-input.js'

/** Whole files up to this size are read in one go and ahead of their turn. */
const SMALL_BYTES = 1 << 20
/** Bytes and files that are read ahead at most. */
const AHEAD_BYTES = 4 << 20
const AHEAD_FILES = 16

export interface PieceContext {
  readonly stores: ByteStores
  chunkBytes(): number
  readonly signal: AbortSignal
}

export interface OpenPiece {
  readonly piece: Piece
  readonly start: RangeStart
  readonly chunks: AsyncIterable<Uint8Array>
}

/** The pieces in order. */
export async function* openPieces(pieces: readonly Piece[], context: PieceContext): AsyncGenerator<OpenPiece> {
  const ahead = new ReadAhead(pieces, context)
  for (const [index, piece] of pieces.entries()) {
    context.signal.throwIfAborted()
    yield { piece, start: rangeStart(piece), chunks: ahead.take(index) ?? streamPiece(piece, context) }
  }
}

/** What a reader must know before the first byte of a piece. */
export function rangeStart({ file, range }: Piece): RangeStart {
  const plain = { file: file.path, ragged: false, compression: 'never' } as const
  switch (range.kind) {
    case 'whole': {
      const { compression } = splitName(file.path)
      return { ...plain, from: 0, compression: compression === 'none' ? 'unknown' : compression }
    }
    case 'bytes':
      return { ...plain, from: range.from, to: range.to, ragged: true }
    case 'frames':
      return { ...plain, from: range.from, to: range.to, ragged: true, compression: 'zstd' }
    case 'exact':
      return { ...plain, from: range.from, ...(range.header && { header: range.header }) }
    case 'spool':
      return {
        ...plain,
        from: range.from,
        ...(range.header && { header: range.header }),
        ...(range.ended && { ended: range.ended }),
      }
    case 'rowGroups':
      throw new TypeError(`a range of row groups cannot be read as bytes: ${file.path}`)
  }
}

/** The stored bytes of a piece; a reader of a ragged range stops when it has what it owns. */
async function* streamPiece({ file, range }: Piece, context: PieceContext): AsyncGenerator<Uint8Array> {
  if (file.url === '-' && range.kind === 'whole') {
    // Only a sample reads it so; the run reads what a cutter made of it.
    yield await peekStandardInput(context.signal)
    return
  }
  const { store, key } = await context.stores.locate(range.kind === 'spool' ? range.spool : file.url)
  const options = { chunkBytes: () => context.chunkBytes(), signal: context.signal }
  switch (range.kind) {
    case 'bytes':
      yield* store.stream(key, { ...options, from: range.from })
      return
    case 'exact':
      yield* store.stream(key, { ...options, from: range.from, to: range.to })
      return
    case 'frames':
      yield* store.stream(key, { ...options, from: range.storedFrom })
      return
    default:
      yield* store.stream(key, options)
  }
}

/** Reads small whole files before their turn. */
class ReadAhead {
  readonly #pieces: readonly Piece[]
  readonly #context: PieceContext
  readonly #reads = new Map<number, Promise<Buffer>>()
  #next = 0
  #bytes = 0

  constructor(pieces: readonly Piece[], context: PieceContext) {
    this.#pieces = pieces
    this.#context = context
  }

  /** The piece's bytes if it is a small file; starts the reads that follow. */
  take(index: number): AsyncIterable<Uint8Array> | undefined {
    this.#next = Math.max(this.#next, index)
    this.#fill()
    const read = this.#reads.get(index)
    if (read === undefined) return undefined
    this.#reads.delete(index)
    return this.#hand(read, this.#pieces[index]!)
  }

  async *#hand(read: Promise<Buffer>, piece: Piece): AsyncGenerator<Uint8Array> {
    const bytes = await read
    this.#bytes -= piece.file.size
    this.#fill()
    yield bytes
  }

  #fill(): void {
    while (this.#reads.size < AHEAD_FILES) {
      const piece = this.#pieces[this.#next]
      if (piece === undefined || !isSmallFile(piece)) return
      if (this.#reads.size > 0 && this.#bytes + piece.file.size > AHEAD_BYTES) return
      const read = this.#read(piece)
      // A failure is thrown where the piece is taken; until then it is not unhandled.
      read.catch(() => undefined)
      this.#reads.set(this.#next, read)
      this.#bytes += piece.file.size
      this.#next++
    }
  }

  async #read({ file }: Piece): Promise<Buffer> {
    const { store, key } = await this.#context.stores.locate(file.url)
    return store.read(key, 0, file.size)
  }
}

function isSmallFile({ file, range }: Piece): boolean {
  return range.kind === 'whole' && file.url !== '-' && file.size <= SMALL_BYTES
}
