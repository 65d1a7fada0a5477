/**
 * Readers of record formats: chunks of bytes in, batches and rejects out.
 *
 * A reader takes ranges of files one after another. However the bytes are cut into chunks, rows and
 * rejects are the same. What a format's text means is decided in crates/kernels/src/formats.
 */
import type {
  NativeEnded,
  NativeReadCounts,
  NativeRecordReader,
  NativeReject,
  NativeSample,
} from '../../native/index.js'
import { Batch, type Columns } from './batch.js'
import { addon, native } from './native.js'

export type { NativeReadCounts as ReadCounts, NativeSample as Sample } from '../../native/index.js'

/** A record format with its own options. */
export type RecordFormat =
  | { readonly format: 'jsonl' }
  | { readonly format: 'csv'; readonly delimiter: string; readonly quote: string | null; readonly header: boolean }
  | { readonly format: 'text'; readonly unit: 'file' | 'line' | 'paragraph' | 'bytes'; readonly chunkBytes: number }

/** What a reader is told about rows, whatever the format. */
export interface RowOptions {
  /** The files' name of the document column. */
  readonly text: string
  /** The files' name of the id column. */
  readonly id: string
  /** User columns of the batches, `text` among them. */
  readonly columns: Columns
  /** Whether columns beyond these are counted. */
  readonly countUnknown: boolean
  readonly onMissing: 'quarantine' | 'skip' | 'empty'
  readonly maxRecordBytes: number
}

/** Why a stream ended before its format said so. */
export type Ended = NativeEnded

/** Where a range starts and what is known about it. */
export interface RangeStart {
  readonly file: string
  /** Decompressed offset of the first byte that will be pushed. */
  readonly from: number
  /** Last offset at which an owned record may start; no limit when left out. */
  readonly to?: number
  /** Whether `from` may lie inside a record, which then belongs to the range before. */
  readonly ragged: boolean
  /** What the file's name promises; `never` takes the bytes as they are. */
  readonly compression: 'never' | 'unknown' | 'zstd' | 'gzip'
  /** Names of the columns, where they stand before the range. */
  readonly header?: readonly string[]
  /** Why the stream that the range was cut from ends with it, if it ends too early. */
  readonly ended?: Ended
}

export class RecordReader implements Disposable {
  readonly #handle: NativeRecordReader

  private constructor(handle: NativeRecordReader) {
    this.#handle = handle
  }

  static open(format: RecordFormat, rows: RowOptions): RecordReader {
    return new RecordReader(native(() => new addon.NativeRecordReader(JSON.stringify(format), JSON.stringify(rows))))
  }

  /** A reader that finds out columns and keeps no rows. */
  static sampler(format: RecordFormat, maxRecordBytes: number): RecordReader {
    const rows: RowOptions = {
      text: 'text',
      id: 'id',
      columns: [],
      countUnknown: false,
      onMissing: 'skip',
      maxRecordBytes,
    }
    return new RecordReader(
      native(() => addon.NativeRecordReader.sampler(JSON.stringify(format), JSON.stringify(rows))),
    )
  }

  start(range: RangeStart): void {
    native(() => this.#handle.start(JSON.stringify(range)))
  }

  /**
   * Takes a chunk, which is read in place. True when it stopped with enough for a batch of `target` bytes:
   * take the batch and the rejects, and push the same chunk again.
   */
  push(chunk: Uint8Array, target: number): boolean {
    return native(() => this.#handle.push(chunk, target))
  }

  /** Whether the range needs no more bytes. */
  get done(): boolean {
    return native(() => this.#handle.done)
  }

  /** Ends the range: its last record, and why it ended early, if it did. */
  end(): Ended | undefined {
    return native(() => this.#handle.end()) ?? undefined
  }

  /** The rows so far if they make a batch of `target` bytes; 0 takes any. */
  takeBatch(target: number): Batch | undefined {
    const handle = native(() => this.#handle.takeBatch(target))
    return handle === null ? undefined : new Batch(handle)
  }

  takeRejects(): NativeReject[] {
    return native(() => this.#handle.takeRejects())
  }

  /** The counts since the last call. */
  takeCounts(): NativeReadCounts {
    return native(() => this.#handle.takeCounts())
  }

  /** What a sampler has seen. */
  sampled(): NativeSample {
    return native(() => this.#handle.sampled())
  }

  dispose(): void {
    native(() => this.#handle.dispose())
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}

/** XXH3-64 of a path, low 32 bits. */
export function pathHash(path: string): number {
  return addon.pathHash(path)
}
