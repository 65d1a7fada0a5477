/** Cuts streams at record ends, and finds the frames of zstd files. */
import type { NativeCut, NativeCutter, NativeZstdFrame } from '../../native/index.js'
import { addon, native } from './native.js'
import type { RangeStart, RecordFormat } from './readers.js'

/** A stretch of whole records; see crates/kernels/src/formats/records/cutter.rs. */
export type Cut = NativeCut

/** A zstd frame that holds data: where it starts in the file, and its decompressed bytes. */
export type ZstdFrame = NativeZstdFrame

export interface CutterOptions {
  readonly compression: RangeStart['compression']
  /** Decompressed bytes of a stretch, at least. */
  readonly target: number
  /** Start of the names of the files that stretches are written to; none are when left out. */
  readonly spool?: string
}

export class Cutter implements Disposable {
  readonly #handle: NativeCutter

  constructor(format: RecordFormat, options: CutterOptions) {
    this.#handle = native(() => new addon.NativeCutter(JSON.stringify(format), JSON.stringify(options)))
  }

  /** Takes a chunk. True when it stopped at a cut: take it and push the same chunk again. */
  push(chunk: Uint8Array): boolean {
    return native(() => this.#handle.push(chunk))
  }

  /** The stream has ended: what is left is the last cut. */
  end(): void {
    native(() => this.#handle.end())
  }

  takeCuts(): Cut[] {
    return native(() => this.#handle.takeCuts())
  }

  dispose(): void {
    native(() => this.#handle.dispose())
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}

/** Bytes at the end of a file that tell whether there is a seek table. */
export const SEEK_TABLE_FOOTER_BYTES = 9

/** The frames of a local file; undefined when one does not say its size or says more than `mostBytes`. */
export function zstdFrames(path: string, mostBytes: number): ZstdFrame[] | undefined {
  return native(() => addon.zstdFrames(path, mostBytes)) ?? undefined
}

/** Length of the seek table that a file's last bytes announce; undefined when they announce none. */
export function zstdSeekTableLength(footer: Uint8Array): number | undefined {
  return addon.zstdSeekTableLength(footer) ?? undefined
}

/** The frames that a seek table lists; undefined when it does not fit the file. */
export function zstdSeekTable(table: Uint8Array, fileBytes: number, mostBytes: number): ZstdFrame[] | undefined {
  return addon.zstdSeekTable(table, fileBytes, mostBytes) ?? undefined
}
