/**
 * Bad records of one task: JSON Lines, one object a record, with where it lies and what it was.
 */
import type { NativeFinishedFile, NativeShardFile } from '../../native/index.js'
import { addon, native } from '../kernels/native.js'
import type { Reject } from '../sources/source.js'

export class Quarantine implements Disposable {
  readonly #path: string | undefined
  readonly #codes: Record<string, number> = Object.create(null)
  #file: NativeShardFile | undefined
  #rows = 0

  /** Without a path records are counted only. */
  constructor(path: string | undefined) {
    this.#path = path
  }

  /** Records so far. */
  get rows(): number {
    return this.#rows
  }

  add(rejects: readonly Reject[]): void {
    for (const { file, offset, length, code, reason, bytes } of rejects) {
      this.#codes[code] = (this.#codes[code] ?? 0) + 1
      this.#rows += 1
      const path = this.#path
      if (path === undefined) continue
      this.#file ??= native(() => addon.NativeShardFile.create(path))
      const record = { file, offset, length, code, reason, bytes_base64: Buffer.from(bytes).toString('base64') }
      native(() => this.#file!.append(Buffer.from(`${JSON.stringify(record)}\n`)))
    }
  }

  /** The finished file, undefined when no record came. */
  finish(): (NativeFinishedFile & { rows: number; codes: Record<string, number> }) | undefined {
    if (!this.#file) return undefined
    return { ...native(() => this.#file!.finish()), rows: this.#rows, codes: { ...this.#codes } }
  }

  [Symbol.dispose](): void {
    this.#file?.dispose()
  }
}
