/**
 * Megatron's `.idx` and `.bin`: where documents lie, and batches of their token ids.
 *
 * Callers fetch the bytes; which ones is asked here.
 */
import type { NativeByteRange, NativeMegatronFile, NativeMegatronWindow, NativeReject } from '../../native/index.js'
import { type FileColumn, nextRows, type Read, type Selection } from './columnar.js'
import { addon, native } from './native.js'

/** Bytes at the start of an `.idx` that tell what it holds. */
export function megatronHeadBytes(): number {
  return addon.megatronHeadBytes()
}

export class MegatronFile implements Disposable {
  readonly #handle: NativeMegatronFile

  /** From the first bytes of the `.idx` and the lengths of both files. */
  constructor(head: Uint8Array, idxBytes: number, binBytes: number) {
    this.#handle = native(() => new addon.NativeMegatronFile(head, idxBytes, binBytes))
  }

  /** Documents in the index. */
  get documents(): number {
    return native(() => this.#handle.documents)
  }

  columns(): FileColumn[] {
    return native(() => this.#handle.columns()) as FileColumn[]
  }

  /** Bytes of the `.idx` that say which sequences documents [from, to) have. */
  documentRange(from: number, to: number): NativeByteRange {
    return native(() => this.#handle.documentRange(from, to))
  }

  open(selection: Selection): void {
    native(() => this.#handle.open(JSON.stringify(selection)))
  }

  /** Starts at document `first` with the bytes of `documentRange`; undefined when these are damaged, which is a reject. */
  start(first: number, bytes: Uint8Array): NativeMegatronWindow | undefined {
    return native(() => this.#handle.start(first, bytes)) ?? undefined
  }

  /** Takes the window's part of the index. */
  place(lengths: Uint8Array, pointers: Uint8Array): void {
    native(() => this.#handle.place(lengths, pointers))
  }

  /** Bytes of the `.bin` to fetch for the next batch; undefined at the window's end. */
  ranges(): NativeByteRange[] | undefined {
    return native(() => this.#handle.ranges()) ?? undefined
  }

  /** The next batch, from the bytes of `ranges`. */
  read(fetched: readonly Uint8Array[]): Read | undefined {
    return nextRows({ next: () => this.#handle.read([...fetched]), takeBatch: () => this.#handle.takeBatch() })
  }

  /** Documents that cannot be read, so far. */
  takeRejects(): NativeReject[] {
    return native(() => this.#handle.takeRejects())
  }

  [Symbol.dispose](): void {
    this.#handle.dispose()
  }
}
