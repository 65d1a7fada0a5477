/**
 * Opens addresses: local folders and `s3://bucket/prefix`. One `ByteStores` serves a run, so that its
 * sources and its output share one S3 client.
 */
import { basename, dirname, resolve } from 'node:path'
import { GristmillError } from '../core/errors.js'
import { LocalStore } from './local.js'
import type { ByteStore, ByteStores } from './store.js'

/** Stores of local folders and, when such an address is opened, of S3. */
export function openStores(): ByteStores {
  return {
    async locate(url) {
      const file = resolve(localAddress(url))
      return { store: new LocalStore(dirname(file)), key: basename(file) }
    },
    async open(url): Promise<ByteStore> {
      return new LocalStore(localAddress(url))
    },
    close() {},
  }
}

/** The path of a local address; another scheme is an error that names what there is. */
function localAddress(url: string): string {
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(url)?.[1]
  if (scheme === undefined) return url
  throw new GristmillError('GM_STORE', `cannot open ${url}: there is no store for '${scheme}://'`, {
    hint: 'addresses are local paths or s3://bucket/prefix',
  })
}
