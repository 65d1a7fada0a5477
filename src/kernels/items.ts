/**
 * Readers of framed items (MDS, TFRecord, WebDataset): chunks of bytes in, batches and rejects out.
 *
 * Without a selection a reader only looks at items. What the bytes mean is decided in crates/kernels/src/formats.
 */
import type {
  NativeByteRange,
  NativeEnded,
  NativeItemReader,
  NativeMdsHead,
  NativeRefusedColumn,
  NativeUnknownColumn,
} from '../../native/index.js'
import { type FileColumn, nextRows, type Read, type Selection } from './columnar.js'
import { addon, native } from './native.js'
import type { RangeStart } from './readers.js'

/** An item format with its own options. */
export type ItemFormat =
  | { readonly format: 'mds' }
  | { readonly format: 'tfrecord'; readonly lists: readonly string[] }
  | { readonly format: 'webdataset' }

/** A column as it was found: its name in the items and its Arrow type. */
export interface ItemColumn {
  readonly name: string
  readonly arrowType: string
}

export class ItemReader implements Disposable {
  readonly #handle: NativeItemReader

  /** A longer item is a reject. */
  constructor(format: ItemFormat, maxItemBytes: number) {
    this.#handle = native(() => new addon.NativeItemReader(JSON.stringify(format), maxItemBytes))
  }

  /** Starts a file, all rows of those before being taken. */
  start(file: string, compression: RangeStart['compression']): void {
    native(() => this.#handle.start(file, compression))
  }

  /** The columns of the items so far; undefined before there is anything to tell. */
  columns(): FileColumn[] | undefined {
    return (native(() => this.#handle.columns()) as FileColumn[] | null) ?? undefined
  }

  /** How many items the file says it has, where it does and its head came. */
  get items(): number | undefined {
    return native(() => this.#handle.items) ?? undefined
  }

  /** Columns that cannot be read, and why. */
  refused(): NativeRefusedColumn[] {
    return native(() => this.#handle.refused())
  }

  /** Says what to read, of the columns that were found; `countUnknown`: others are counted. */
  open(selection: Selection, found: readonly ItemColumn[], countUnknown: boolean): void {
    native(() => this.#handle.open(JSON.stringify(selection), JSON.stringify(found), countUnknown))
  }

  /** Goes to items [from, to): the bytes to push next; undefined when the file's head, pushed before, does not say. */
  seek(from: number, to: number): NativeByteRange | undefined {
    return native(() => this.#handle.seek(from, to)) ?? undefined
  }

  /**
   * Takes a chunk, which is read in place. True when it stopped with enough for a batch of `target` bytes, or since
   * columns must be chosen first: do so and push the same chunk again.
   */
  push(chunk: Uint8Array, target: number): boolean {
    return native(() => this.#handle.push(chunk, target))
  }

  /** Whether the file needs no more bytes. */
  get done(): boolean {
    return native(() => this.#handle.done)
  }

  /** Ends the file; why it ended early, if it did. */
  end(): NativeEnded | undefined {
    return native(() => this.#handle.end()) ?? undefined
  }

  /** The rows and rejects so far if they make a batch of `target` bytes; 0 takes any. */
  next(target: number): Read | undefined {
    return nextRows({ next: () => this.#handle.next(target), takeBatch: () => this.#handle.takeBatch() })
  }

  /** Rows that have columns nobody asked for, since the last call. */
  takeUnknown(): NativeUnknownColumn[] {
    return native(() => this.#handle.takeUnknown())
  }

  [Symbol.dispose](): void {
    this.#handle.dispose()
  }
}

/** Bytes at the start of an MDS shard that `mdsHead` needs. */
export const MDS_START_BYTES = 8

/** Samples of an MDS shard and bytes before the first; undefined when the bytes are no such start. */
export function mdsHead(start: Uint8Array): NativeMdsHead | undefined {
  return native(() => addon.mdsHead(start)) ?? undefined
}
