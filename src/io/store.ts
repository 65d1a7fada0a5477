/**
 * Byte stores: the only way the engine and the sources touch storage.
 *
 * A store lists, reads ranges and publishes finished files. There is no rename above it: local folders
 * publish by rename, object stores by upload.
 */

/** An object in a store. */
export interface Entry {
  /** `/`-separated, relative to the store's root. */
  readonly key: string
  readonly bytes: number
  /** Changes when the content does: "size-mtimeNs" locally, the ETag on object stores ("size-seconds" without one). */
  readonly fingerprint: string
}

export interface StreamOptions {
  readonly from?: number
  /** Exclusive; the end when left out. */
  readonly to?: number
  /** Asked before each read, so that it may change. */
  chunkBytes(): number
  readonly signal?: AbortSignal
}

/** A folder of objects: a local directory or a bucket prefix. */
export interface ByteStore {
  /** The folder's address: an absolute path or `s3://bucket/prefix`. */
  readonly url: string
  /** The local folder, undefined for object stores. */
  readonly localFolder: string | undefined
  /** Objects below the folder `prefix` ('' for all), bytewise-sorted by key; an empty list when there are none. */
  list(prefix: string): Promise<Entry[]>
  stat(key: string): Promise<Entry | undefined>
  /** Bytes [from, to). Fewer only when the object is shorter. */
  read(key: string, from: number, to: number): Promise<Buffer>
  /**
   * The object in chunks, the next one being read while the caller works on this one. A chunk's memory is
   * used again: it is good until the caller asks for the next.
   */
  stream(key: string, options: StreamOptions): AsyncGenerator<Buffer>
  /** Writes a small object so that a reader sees the old content or the new, whatever is killed. */
  write(key: string, bytes: string | Uint8Array): Promise<void>
  /** Writes a small object unless it exists; false when it did. */
  writeIfAbsent(key: string, bytes: string | Uint8Array): Promise<boolean>
  /** Moves a finished local file into the store under `key`; replaces what was there. */
  publish(localFile: string, key: string): Promise<void>
  /** Gives an object another key; replaces what was there. */
  move(from: string, to: string): Promise<void>
  /** Deletes an object; it is no error when there is none. */
  delete(key: string): Promise<void>
  /** Deletes everything below the folder `prefix`. */
  deleteAll(prefix: string): Promise<void>
  /** Deletes what killed writers left half-written; only for the holder of the folder's lock. */
  deleteUnfinished(): Promise<void>
}

/** Opens addresses of any kind; passed to sources so that one run shares its clients. */
export interface ByteStores {
  /** The store and key of a file's address (absolute path or `s3://bucket/key`). */
  locate(url: string): Promise<{ store: ByteStore; key: string }>
  /** The store of a folder's address. */
  open(url: string): Promise<ByteStore>
  close(): void
}
