/**
 * Opens addresses: local folders and `s3://bucket/prefix`. One `ByteStores` serves a run, so that its
 * sources and its output share one S3 client.
 */
import { basename, dirname, resolve } from 'node:path'
import { GristmillError } from '../core/errors.js'
import { LocalStore } from './local.js'
import { connectS3, type S3 } from './s3-client.js'
import { parseS3, S3Store } from './s3.js'
import type { ByteStore, ByteStores } from './store.js'

/** Stores of local folders and, once such an address is opened, of S3. Close them to free connections. */
export function openStores(): ByteStores {
  let s3: Promise<S3> | undefined
  const connect = (): Promise<S3> => {
    s3 ??= connectS3()
    return s3
  }
  return {
    async locate(url) {
      if (isS3(url)) {
        const { bucket, key } = parseS3(url)
        return { store: new S3Store(await connect(), { bucket, key: '' }), key }
      }
      const file = resolve(localAddress(url))
      return { store: new LocalStore(dirname(file)), key: basename(file) }
    },
    async open(url): Promise<ByteStore> {
      return isS3(url) ? new S3Store(await connect(), parseS3(url)) : new LocalStore(localAddress(url))
    },
    close() {
      // A client that could not be made has nothing to close; whoever asked for it has its error.
      void s3?.then(({ client }) => client.destroy()).catch(() => {})
      s3 = undefined
    },
  }
}

function isS3(url: string): boolean {
  return url.startsWith('s3://')
}

/** The path of a local address; another scheme is an error that names what there is. */
function localAddress(url: string): string {
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(url)?.[1]
  if (scheme === undefined) return url
  throw new GristmillError('GM_STORE', `cannot open ${url}: there is no store for '${scheme}://'`, {
    hint: 'addresses are local paths or s3://bucket/prefix',
  })
}
