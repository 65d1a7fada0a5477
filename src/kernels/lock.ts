/**
 * A lock on a file that the operating system drops when the process dies, however it dies.
 */
import type { NativeFileLock } from '../../native/index.js'
import { addon, native } from './native.js'

/** Held locks. The collector must not take one: that would give it up in silence. */
const held = new Set<FileLock>()

export class FileLock implements Disposable {
  readonly #handle: NativeFileLock

  private constructor(handle: NativeFileLock) {
    this.#handle = handle
  }

  /** Locks the file, creating it when there is none; null when somebody else, or this process, holds it. */
  static tryAcquire(path: string): FileLock | null {
    const handle = native(() => addon.NativeFileLock.tryAcquire(path))
    if (handle === null) return null
    const lock = new FileLock(handle)
    held.add(lock)
    return lock
  }

  /** Gives the lock up. Releasing twice is harmless. */
  release(): void {
    held.delete(this)
    native(() => this.#handle.release())
  }

  [Symbol.dispose](): void {
    this.release()
  }
}
