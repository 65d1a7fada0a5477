/**
 * A cache of arrays on disk, to look at, prune and verify. What is in it is made and read by Rust and by Python
 * (python/gristmill/cache.py); crates/kernels/src/cache has the design.
 */
import { GristmillError } from '../core/errors.js'
import type { NativeCache, NativeCacheContents } from '../../native/index.js'
import { addon, native } from './native.js'

/** What lies in a cache, and what all processes counted since it was made. */
export type CacheContents = Readonly<NativeCacheContents>

export class Cache {
  readonly #handle: NativeCache

  private constructor(handle: NativeCache) {
    this.#handle = handle
  }

  /** Opens a cache that exists; what dead processes left unfinished is cleared. */
  static existing(folder: string): Cache {
    try {
      return new Cache(native(() => addon.NativeCache.existing(folder)))
    } catch (cause) {
      if (!(cause instanceof GristmillError) || cause.code !== 'GM_CONFIG') throw cause
      const hint = 'name the folder that a Cache or a Pipeline of the Python package was given'
      throw new GristmillError('GM_CONFIG', cause.message, { cause, hint })
    }
  }

  contents(): CacheContents {
    return native(() => this.#handle.contents())
  }

  /** Removes what was unused longest until at most so many bytes stay; what is being read stays. */
  prune(bytes: number): void {
    native(() => this.#handle.prune(bytes))
  }

  /** Reads every entry and removes the damaged ones; returns how many those were. */
  verify(): number {
    return native(() => this.#handle.verify())
  }
}
