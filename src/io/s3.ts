/**
 * Byte store over a bucket prefix of S3 or a server that speaks its protocol.
 *
 * An object appears whole or not at all, so there is nothing to sync. `writeIfAbsent` is a conditional PUT
 * (`If-None-Match: *`), tried out on the server before it is relied on.
 */
import { randomBytes } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rm, stat } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
import { compareBytewise } from '../core/bytewise.js'
import { mapConcurrent } from '../core/concurrent.js'
import { GristmillError } from '../core/errors.js'
import { importPeer } from '../core/peers.js'
import { readAhead } from './read-ahead.js'
import type { S3 } from './s3-client.js'
import { attemptsOf, statusOf, storeError } from './s3-errors.js'
import { readChunks } from './s3-read.js'
import type { ByteStore, Entry, StreamOptions } from './store.js'

const MIB = 2 ** 20

/** Parts of an upload under way at once, and their size: 16 MiB of memory an upload. */
const UPLOAD_PARTS = 2
const PART_BYTES = 8 * MIB
/** S3 takes 10,000 parts an object; larger objects get larger parts. */
const MAX_PARTS = 9_500

/** Small requests (DELETE, abort) under way at once. */
const CONCURRENT_REQUESTS = 16

/** How often a conditional write that met another one is sent again, and the first pause before that. */
const MAX_CONFLICTS = 6
const CONFLICT_PAUSE_MS = 50

export interface S3Address {
  readonly bucket: string
  /** Without slashes at its ends; '' for the whole bucket. */
  readonly key: string
}

/** Splits `s3://bucket/key`; keys are taken as they are, without percent-decoding. */
export function parseS3(url: string): S3Address {
  const [, bucket, key] = /^s3:\/\/([^/]+)\/*(.*?)\/*$/s.exec(url) ?? []
  if (bucket !== undefined && key !== undefined) return { bucket, key }
  throw new GristmillError('GM_STORE', `'${url}' names no bucket`, { hint: 'write s3://bucket/prefix' })
}

export class S3Store implements ByteStore {
  readonly url: string
  readonly localFolder = undefined
  readonly #s3: S3
  readonly #bucket: string
  /** '' or ends with a slash. */
  readonly #prefix: string
  /** Set once the server has shown that it honours conditional writes. */
  #conditional: Promise<void> | undefined

  constructor(s3: S3, { bucket, key }: S3Address) {
    this.url = key === '' ? `s3://${bucket}` : `s3://${bucket}/${key}`
    this.#s3 = s3
    this.#bucket = bucket
    this.#prefix = key === '' ? '' : `${key}/`
  }

  async list(prefix: string): Promise<Entry[]> {
    const { client, sdk } = this.#s3
    const Prefix = this.#below(prefix)
    const entries: Entry[] = []
    for (let token: string | undefined, more = true; more;) {
      const page = await this.#try(`list ${this.url}`, () =>
        client.send(
          new sdk.ListObjectsV2Command({
            Bucket: this.#bucket,
            Prefix,
            EncodingType: 'url', // XML cannot carry every character a key may hold.
            ...(token !== undefined && { ContinuationToken: token }),
          }),
        ),
      )
      for (const { Key, Size, ETag, LastModified } of page.Contents ?? []) {
        const key = page.EncodingType === 'url' ? decodeKey(Key ?? '') : (Key ?? '')
        // A key that ends in a slash is a folder some tool drew.
        if (!key.endsWith('/')) entries.push(entryOf(key.slice(this.#prefix.length), Size, ETag, LastModified))
      }
      token = page.NextContinuationToken
      more = page.IsTruncated === true && token !== undefined
    }
    return entries.sort((a, b) => compareBytewise(a.key, b.key))
  }

  async stat(key: string): Promise<Entry | undefined> {
    const { client, sdk } = this.#s3
    try {
      const head = await client.send(new sdk.HeadObjectCommand(this.#object(key)))
      return entryOf(key, head.ContentLength, head.ETag, head.LastModified)
    } catch (error) {
      if (statusOf(error) === 404) return undefined
      throw storeError(`look at ${this.#name(key)}`, error)
    }
  }

  async read(key: string, from: number, to: number): Promise<Buffer> {
    if (to <= from) return Buffer.alloc(0)
    const range = { bucket: this.#bucket, key: this.#prefix + key, from, to }
    for await (const chunk of readChunks(this.#s3, range, () => to - from)) return chunk
    return Buffer.alloc(0)
  }

  async *stream(key: string, { from = 0, to, chunkBytes, signal }: StreamOptions): AsyncGenerator<Buffer> {
    const range = { bucket: this.#bucket, key: this.#prefix + key, from, to, signal }
    yield* readAhead(readChunks(this.#s3, range, chunkBytes))
  }

  async write(key: string, bytes: string | Uint8Array): Promise<void> {
    await this.#try(`write ${this.#name(key)}`, () => this.#put(key, bytes))
  }

  async writeIfAbsent(key: string, bytes: string | Uint8Array): Promise<boolean> {
    this.#conditional ??= this.#tryConditionalWrites()
    await this.#conditional.catch((error: unknown) => {
      this.#conditional = undefined // A passing failure must not stick.
      throw error
    })
    return this.#create(key, bytes)
  }

  async publish(localFile: string, key: string): Promise<void> {
    const { Upload } = await importPeer<typeof import('@aws-sdk/lib-storage')>('@aws-sdk/lib-storage')
    await this.#try(`upload ${localFile} to ${this.#name(key)}`, async () => {
      const { size } = await stat(localFile)
      const upload = new Upload({
        client: this.#s3.client,
        params: {
          ...this.#object(key),
          Body: createReadStream(localFile, { highWaterMark: MIB }),
          ContentLength: size,
        },
        queueSize: UPLOAD_PARTS,
        partSize: Math.max(PART_BYTES, Math.ceil(size / MAX_PARTS)),
      })
      await upload.done()
    })
    await rm(localFile, { force: true })
  }

  async move(from: string, to: string): Promise<void> {
    const { client, sdk } = this.#s3
    const source = `${this.#bucket}/${this.#prefix}${from}`.split('/').map(encodeURIComponent).join('/')
    await this.#try(`copy ${this.#name(from)} to ${this.#name(to)}`, () =>
      client.send(new sdk.CopyObjectCommand({ ...this.#object(to), CopySource: source })),
    )
    await this.delete(from)
  }

  async delete(key: string): Promise<void> {
    const { client, sdk } = this.#s3
    await this.#try(`delete ${this.#name(key)}`, async () => {
      await client.send(new sdk.DeleteObjectCommand(this.#object(key))).catch((error: unknown) => {
        if (statusOf(error) !== 404) throw error
      })
    })
  }

  async deleteAll(prefix: string): Promise<void> {
    // One by one: the bulk request needs an MD5 header on some servers and a newer checksum on others.
    const entries = await this.list(prefix)
    await mapConcurrent(entries, CONCURRENT_REQUESTS, ({ key }) => this.delete(key))
  }

  async deleteUnfinished(): Promise<void> {
    const { client, sdk } = this.#s3
    const bucket = { Bucket: this.#bucket }
    const doing = `abort unfinished uploads below ${this.url}`
    for (let markers = {}, more = true; more;) {
      const page = await this.#try(doing, () =>
        client.send(new sdk.ListMultipartUploadsCommand({ ...bucket, Prefix: this.#prefix, ...markers })),
      )
      await mapConcurrent(page.Uploads ?? [], CONCURRENT_REQUESTS, ({ Key, UploadId }) =>
        this.#try(doing, () => client.send(new sdk.AbortMultipartUploadCommand({ ...bucket, Key, UploadId }))),
      )
      markers = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
      more = page.IsTruncated === true
    }
  }

  /**
   * Checks that the server refuses to replace an object when asked not to: some accept the condition,
   * ignore it and overwrite, and then two writers would both believe that they were first.
   */
  async #tryConditionalWrites(): Promise<void> {
    const key = `.gristmill-probe-${randomBytes(8).toString('hex')}`
    try {
      await this.#create(key, '')
      if (!(await this.#create(key, ''))) return
    } finally {
      await this.delete(key)
    }
    throw this.#noConditionalWrites()
  }

  #noConditionalWrites(cause?: unknown): GristmillError {
    const message = `the server of ${this.url} does not honour 'If-None-Match: *' on PUT, which commits rely on`
    const hint = 'use a server that does (AWS, MinIO, Ceph, versitygw, …) in a current version, or a local --out'
    return new GristmillError('GM_STORE', message, { hint, cause })
  }

  async #create(key: string, bytes: string | Uint8Array, conflicts = 0): Promise<boolean> {
    try {
      await this.#put(key, bytes, '*')
      return true
    } catch (error) {
      const status = statusOf(error)
      if (status === 501) throw this.#noConditionalWrites(error)
      // 409: another writer was at it at the same moment; the next answer tells who won.
      if (status === 409 && conflicts < MAX_CONFLICTS) {
        await setTimeout(CONFLICT_PAUSE_MS * 2 ** conflicts)
        return this.#create(key, bytes, conflicts + 1)
      }
      if (status !== 412) throw storeError(`write ${this.#name(key)}`, error)
      // The SDK may have sent it twice because the answer to the first was lost: then the object is ours.
      return attemptsOf(error) > 1 && (await this.#holds(key, Buffer.from(bytes)))
    }
  }

  async #holds(key: string, bytes: Buffer): Promise<boolean> {
    return (await this.read(key, 0, bytes.length + 1)).equals(bytes)
  }

  #put(key: string, bytes: string | Uint8Array, ifNoneMatch?: string): Promise<unknown> {
    const { client, sdk } = this.#s3
    const condition = ifNoneMatch === undefined ? {} : { IfNoneMatch: ifNoneMatch }
    return client.send(new sdk.PutObjectCommand({ ...this.#object(key), Body: Buffer.from(bytes), ...condition }))
  }

  async #try<T>(doing: string, request: () => Promise<T>): Promise<T> {
    try {
      return await request()
    } catch (error) {
      throw storeError(doing, error)
    }
  }

  #object(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + key }
  }

  #name(key: string): string {
    return `s3://${this.#bucket}/${this.#prefix}${key}`
  }

  #below(prefix: string): string {
    const folder = prefix.replace(/\/+$/, '')
    return this.#prefix + (folder === '' ? '' : `${folder}/`)
  }
}

/**
 * Some servers give no ETag, as for files that got there past their interface. Size and time stand in then:
 * without any fingerprint a changed input would pass for the one whose tasks are committed. A listing tells
 * the time to the millisecond, a look at the object to the second, so that seconds count.
 */
function entryOf(key: string, bytes = 0, etag: string | undefined, modified: Date | undefined): Entry {
  const tag = (etag ?? '').replaceAll('"', '')
  const seconds = Math.floor((modified?.getTime() ?? 0) / 1000)
  return { key, bytes, fingerprint: tag === '' ? `${bytes}-${seconds}` : tag }
}

/** Undoes `encoding-type=url`, which writes a space as `+`. */
function decodeKey(key: string): string {
  return decodeURIComponent(key.replaceAll('+', ' '))
}
