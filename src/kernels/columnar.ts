/**
 * Columnar files (Parquet, Arrow IPC): what they say about themselves, and rows of the selected columns.
 *
 * Callers fetch the bytes; which ones is asked here. A file that is not of its format is a GM_FORMAT error
 * of the constructor; damage found later comes out as rejects.
 */
import type {
  NativeArrowFile,
  NativeArrowStream,
  NativeBlock,
  NativeByteRange,
  NativeParquetFile,
  NativeRead,
  NativeReject,
  NativeRowGroup,
} from '../../native/index.js'
import { Batch, type ColumnType } from './batch.js'
import { addon, native } from './native.js'

export type { NativeBlock as Block, NativeByteRange as ByteRange } from '../../native/index.js'

/** What the name of a Bloom filter of ids ends with, where it is a file of its own. */
export const ID_FILTER = '.bloom'

/** Type of a column in a file; `null` when it holds nothing else, `integers` for lists of them. */
export type FileColumnType =
  | 'string'
  | 'json'
  | 'binary'
  | 'int64'
  | 'float64'
  | 'boolean'
  | 'null'
  | 'integers'
  | 'other'

export interface FileColumn {
  readonly name: string
  readonly type: FileColumnType
  readonly arrowType: string
}

/** Which columns of a file become which columns of the batches. */
export interface Selection {
  /** The file, relative to the configuration. */
  readonly file: string
  /** The file's column that holds the user's id; null when there is none. */
  readonly id: string | null
  /** User columns in order: name in the batch, name in the file, type in the batch. */
  readonly columns: readonly { readonly name: string; readonly source: string; readonly type: ColumnType }[]
  readonly onMissing: 'quarantine' | 'skip' | 'empty'
  readonly maxRecordBytes: number
}

/** Rows that were read. */
export interface Read extends Omit<NativeRead, 'rejects'> {
  readonly rejects: readonly NativeReject[]
  /** Those that stay; undefined when none do. */
  readonly batch: Batch | undefined
}

interface RowsHandle {
  next(): NativeRead | null
  takeBatch(): NativeBatchHandle | null
}

type NativeBatchHandle = ConstructorParameters<typeof Batch>[0]

/** What a native reader's next rows are. */
export function nextRows(handle: RowsHandle): Read | undefined {
  const read = native(() => handle.next())
  if (read === null) return undefined
  const batch = handle.takeBatch()
  return { ...read, batch: batch === null ? undefined : new Batch(batch) }
}

/** Bytes at the end of a Parquet file that tell how long its footer is. */
export const PARQUET_TAIL_BYTES = 8

/** Length of the footer, which lies before the last bytes. */
export function parquetFooterLength(tail: Uint8Array): number {
  return native(() => addon.parquetFooterLength(tail))
}

/** Whether a Bloom filter lets a text pass: false only when no row of its row group has it. */
export function bloomMayHold(filter: Uint8Array, value: string): boolean {
  return native(() => addon.bloomMayHold(filter, value))
}

export class ParquetFile implements Disposable {
  readonly #handle: NativeParquetFile

  /** From the bytes of the footer alone. */
  constructor(footer: Uint8Array) {
    this.#handle = native(() => new addon.NativeParquetFile(footer))
  }

  columns(): FileColumn[] {
    return native(() => this.#handle.columns()) as FileColumn[]
  }

  /** Rows of each row group, and decoded bytes of the named columns in it (of all columns without names). */
  rowGroups(names?: readonly string[]): NativeRowGroup[] {
    return native(() => this.#handle.rowGroups(names && [...names]))
  }

  /** Says what to read. With `localPath`, pages come from that file as they are needed. */
  open(selection: Selection, localPath?: string): void {
    native(() => this.#handle.open(JSON.stringify(selection), localPath))
  }

  /** Whether a row group may hold rows that the predicate (the tree of an expression) accepts. */
  mayMatch(group: number, firstRow: number, predicate: unknown): boolean {
    return native(() => this.#handle.mayMatch(group, firstRow, JSON.stringify(predicate)))
  }

  /** Where the Bloom filter of a column of a row group lies; undefined when it has none. */
  bloomRange(group: number, column: string): NativeByteRange | undefined {
    return native(() => this.#handle.bloomRange(group, column)) ?? undefined
  }

  /** Bytes of the file to fetch for a row group. */
  ranges(group: number): NativeByteRange[] {
    return native(() => this.#handle.ranges(group))
  }

  /** Starts a row group; `fetched` holds the bytes of its ranges unless the file is local. */
  start(
    group: number,
    firstRow: number,
    fetched: readonly { readonly from: number; readonly bytes: Uint8Array }[],
  ): void {
    const starts = fetched.map(({ from }) => from)
    const chunks = fetched.map(({ bytes }) => bytes)
    native(() => this.#handle.start(group, firstRow, starts, chunks))
  }

  /** The next rows of the row group; undefined at its end. */
  next(): Read | undefined {
    return nextRows(this.#handle)
  }

  [Symbol.dispose](): void {
    this.#handle.dispose()
  }
}

/** Bytes at the end of an Arrow IPC file that tell how long its footer is. */
export const ARROW_TAIL_BYTES = 10

/** Length of the footer, which lies before the last bytes. */
export function arrowFooterLength(tail: Uint8Array): number {
  return native(() => addon.arrowFooterLength(tail))
}

/** Rows of a record batch, from the metadata its block starts with. */
export function arrowBatchRows(metadata: Uint8Array): number {
  return native(() => addon.arrowBatchRows(metadata))
}

export class ArrowFile implements Disposable {
  readonly #handle: NativeArrowFile

  /** From the bytes of the footer alone. */
  constructor(footer: Uint8Array) {
    this.#handle = native(() => new addon.NativeArrowFile(footer))
  }

  columns(): FileColumn[] {
    return native(() => this.#handle.columns()) as FileColumn[]
  }

  batches(): NativeBlock[] {
    return native(() => this.#handle.batches())
  }

  dictionaries(): NativeBlock[] {
    return native(() => this.#handle.dictionaries())
  }

  open(selection: Selection): void {
    native(() => this.#handle.open(JSON.stringify(selection)))
  }

  /** Takes a dictionary; all of them come before the first record batch. */
  readDictionary(number: number, bytes: Uint8Array): void {
    native(() => this.#handle.readDictionary(number, bytes))
  }

  /** Takes a record batch. */
  start(number: number, firstRow: number, bytes: Uint8Array): void {
    native(() => this.#handle.start(number, firstRow, bytes))
  }

  /** The next rows of the record batch; undefined at its end. */
  next(): Read | undefined {
    return nextRows(this.#handle)
  }

  [Symbol.dispose](): void {
    this.#handle.dispose()
  }
}

export class ArrowStream implements Disposable {
  readonly #handle: NativeArrowStream = native(() => new addon.NativeArrowStream())

  push(bytes: Uint8Array): void {
    native(() => this.#handle.push(bytes))
  }

  /** Undefined until the stream's schema came. */
  columns(): FileColumn[] | undefined {
    return (native(() => this.#handle.columns()) as FileColumn[] | null) ?? undefined
  }

  open(selection: Selection): void {
    native(() => this.#handle.open(JSON.stringify(selection)))
  }

  /** The next rows; undefined when more bytes are needed. */
  next(): Read | undefined {
    return nextRows(this.#handle)
  }

  /** Ends the stream, which had `length` bytes: a reject of what is missing, if it ended too early. */
  finish(file: string, length: number): NativeReject | undefined {
    return native(() => this.#handle.finish(file, length)) ?? undefined
  }

  [Symbol.dispose](): void {
    this.#handle.dispose()
  }
}
