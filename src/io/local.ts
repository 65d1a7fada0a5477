/**
 * Byte store over a local folder.
 *
 * Publishing is rename (`atomic.ts`). Unfinished files lie
 * in the store's root, hidden, never beside the objects, and no listing shows them.
 */
import type { BigIntStats } from 'node:fs'
import { open, rm, type FileHandle } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { compareBytewise } from '../core/bytewise.js'
import { GristmillError, ioError } from '../core/errors.js'
import { createAtomically, isUnfinished, moveAtomically, retryWithFolders, writeAtomically } from './atomic.js'
import { readAhead } from './read-ahead.js'
import { fingerprint, statFile, statFiles } from './stat.js'
import type { ByteStore, Entry, StreamOptions } from './store.js'
import { walk } from './walk.js'

export class LocalStore implements ByteStore {
  readonly url: string

  constructor(folder: string) {
    this.url = resolve(folder)
  }

  get localFolder(): string {
    return this.url
  }

  async list(prefix: string): Promise<Entry[]> {
    const folder = prefix.replace(/\/+$/, '')
    const found = await walk(join(this.url, folder))
    const keys = found.filter((path) => !isUnfinished(path)).map((path) => (folder === '' ? path : `${folder}/${path}`))
    keys.sort(compareBytewise)
    const stats = await statFiles(keys.map((key) => this.#file(key)))
    return keys.map((key, i) => entryOf(key, stats[i])).filter((entry) => entry !== undefined)
  }

  async stat(key: string): Promise<Entry | undefined> {
    return entryOf(key, await statFile(this.#file(key)))
  }

  async read(key: string, from: number, to: number): Promise<Buffer> {
    const file = this.#file(key)
    try {
      await using handle = await open(file, 'r')
      const end = Math.min(to, await lengthOf(handle))
      return await readInto(Buffer.allocUnsafeSlow(Math.max(0, end - from)), handle, from)
    } catch (error) {
      throw ioError(`read ${file}`, error)
    }
  }

  async *stream(key: string, options: StreamOptions): AsyncGenerator<Buffer> {
    const file = this.#file(key)
    options.signal?.throwIfAborted()
    const handle = await open(file, 'r').catch((error: unknown) => {
      throw ioError(`read ${file}`, error)
    })
    try {
      yield* readAhead(chunksOf(handle, file, options))
    } finally {
      await handle.close()
    }
  }

  async write(key: string, bytes: string | Uint8Array): Promise<void> {
    const file = this.#file(key)
    await writeAtomically(file, bytes, this.url).catch((error: unknown) => {
      throw ioError(`write ${file}`, error)
    })
  }

  async writeIfAbsent(key: string, bytes: string | Uint8Array): Promise<boolean> {
    const file = this.#file(key)
    return createAtomically(file, bytes, this.url).catch((error: unknown) => {
      throw ioError(`write ${file}`, error)
    })
  }

  async publish(localFile: string, key: string): Promise<void> {
    const file = this.#file(key)
    try {
      await retryWithFolders([dirname(file)], () => moveAtomically(localFile, file))
    } catch (error) {
      throw ioError(`publish ${localFile} as ${file}`, error)
    }
  }

  async move(from: string, to: string): Promise<void> {
    const [source, target] = [this.#file(from), this.#file(to)]
    try {
      await retryWithFolders([dirname(target)], () => moveAtomically(source, target))
    } catch (error) {
      throw ioError(`move ${source} to ${target}`, error)
    }
  }

  async delete(key: string): Promise<void> {
    const file = this.#file(key)
    await rm(file, { force: true }).catch((error: unknown) => {
      throw ioError(`delete ${file}`, error)
    })
  }

  async deleteAll(prefix: string): Promise<void> {
    const folder = this.#file(prefix)
    await rm(folder, { force: true, recursive: true }).catch((error: unknown) => {
      throw ioError(`delete ${folder}`, error)
    })
  }

  async deleteUnfinished(): Promise<void> {
    for (const path of await walk(this.url)) if (isUnfinished(path)) await this.delete(path)
  }

  /** The file of a key, which must not lead out of the store. */
  #file(key: string): string {
    const file = join(this.url, key)
    const inside = file === this.url || this.url === '/' || file.startsWith(`${this.url}/`)
    if (!inside) throw new GristmillError('GM_INTERNAL', `key '${key}' leads out of ${this.url}`)
    return file
  }
}

function entryOf(key: string, stats: BigIntStats | undefined): Entry | undefined {
  return stats?.isFile() ? { key, bytes: Number(stats.size), fingerprint: fingerprint(stats) } : undefined
}

async function lengthOf(handle: FileHandle): Promise<number> {
  return (await handle.stat()).size
}

/** The bytes at `from`, as many as there are and the buffer holds. */
async function readInto(buffer: Buffer, handle: FileHandle, from: number): Promise<Buffer> {
  let filled = 0
  while (filled < buffer.length) {
    const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, from + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return filled === buffer.length ? buffer : buffer.subarray(0, filled)
}

async function* chunksOf(handle: FileHandle, file: string, options: StreamOptions): AsyncGenerator<Buffer> {
  try {
    const size = await lengthOf(handle)
    const end = Math.min(options.to ?? size, size)
    // Two chunks exist at a time. Fresh memory for each would make V8 collect garbage every few of them.
    let [buffer, other] = [Buffer.alloc(0), Buffer.alloc(0)]
    for (let at = options.from ?? 0; at < end;) {
      options.signal?.throwIfAborted()
      const wanted = Math.min(Math.max(1, options.chunkBytes()), end - at)
      ;[buffer, other] = [other.length >= wanted ? other : Buffer.allocUnsafeSlow(wanted), buffer]
      const chunk = await readInto(buffer.subarray(0, wanted), handle, at)
      if (chunk.length < wanted) {
        const found = `${file} ended at byte ${at + chunk.length}; it had ${size} bytes when it was opened`
        throw new GristmillError('GM_INPUT_CHANGED', found)
      }
      at += chunk.length
      yield chunk
    }
  } catch (error) {
    throw options.signal?.aborted ? error : ioError(`read ${file}`, error)
  }
}
