/**
 * `Batch`: rows in Arrow layout, owned by Rust. JavaScript holds this handle.
 *
 * Every batch starts with three reserved columns: `__file`, `__position` and `id` (see
 * crates/kernels/src/batch.rs). Views share native memory and die with the batch: disposing it detaches
 * them, so a use after that throws.
 */
import type { NativeBatch, NativeColumn } from '../../native/index.js'
import { importPeer } from '../core/peers.js'
import { addon, native } from './native.js'

/** Column types the engine knows by name; `other` is carried but not computed with. */
export type ColumnType = 'string' | 'int64' | 'float64' | 'boolean' | 'json' | 'tokens' | 'other'

/** User columns of a batch in order: name and type. `text` is one of them, the reserved ones are not. */
export type Columns = ReadonlyArray<{
  readonly name: string
  readonly type: ColumnType
  /** The Arrow type in the files, from sources that find columns by a sample. */
  readonly arrowType?: string
}>

/** @ts-ignore the optional package may be absent where this is used; the type is `any` then */
export type ArrowTable = import('apache-arrow').Table

export class Batch implements Disposable {
  readonly #handle: NativeBatch
  readonly #views = new Map<string, NativeColumn>()

  /** Takes over a native handle. Kernels make batches; users receive them. */
  constructor(handle: NativeBatch) {
    this.#handle = handle
  }

  /** A batch from an Arrow IPC stream that starts with the reserved columns. */
  static fromIpc(bytes: Uint8Array): Batch {
    return new Batch(native(() => addon.NativeBatch.fromIpc(bytes)))
  }

  /** The native handle, for kernels. */
  get handle(): NativeBatch {
    return this.#handle
  }

  /** Rows, selected or not. */
  get rows(): number {
    return native(() => this.#handle.rows)
  }

  /** Selected rows. */
  get keptRows(): number {
    return native(() => this.#handle.keptRows)
  }

  /** Bytes of the buffers behind the columns. */
  get bytes(): number {
    return native(() => this.#handle.bytes)
  }

  /** Names and Arrow types of all columns, the reserved ones first. */
  columns(): [name: string, arrowType: string][] {
    return native(() => this.#handle.columns()) as [string, string][]
  }

  /** Bitmap of the selected rows, least significant bit first; null when all are. */
  selection(): Uint8Array | null {
    return native(() => this.#handle.selection())
  }

  /** Ids of all rows: the user's, else "file:position". */
  ids(): string[] {
    return native(() => this.#handle.ids())
  }

  /** Zero-copy buffers of a column in Arrow's layout; read-only, detached when the batch is disposed. */
  view(name: string): NativeColumn {
    let view = this.#views.get(name)
    if (view === undefined) {
      view = native(() => this.#handle.view(name))
      this.#views.set(name, view)
    }
    return view
  }

  /** Changes the batch in place through its native handle; earlier views keep showing the old columns. */
  change<T>(work: (handle: NativeBatch) => T): T {
    this.#views.clear()
    return native(() => work(this.#handle))
  }

  /** The selected rows as an Arrow IPC stream. */
  toIpc(): Buffer {
    return native(() => this.#handle.toIpc())
  }

  /** The selected rows as an apache-arrow table; needs the optional package `apache-arrow`. */
  async toArrow(): Promise<ArrowTable> {
    const { tableFromIPC } = await importPeer<typeof import('apache-arrow')>('apache-arrow')
    return tableFromIPC(this.toIpc())
  }

  dispose(): void {
    this.#views.clear()
    native(() => this.#handle.dispose())
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}

/** Bytes held by batches of this process that were not disposed. */
export function liveBatchBytes(): number {
  return addon.liveBatchBytes()
}
