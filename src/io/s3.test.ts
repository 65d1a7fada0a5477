import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, readFile, utimes, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer } from 'node:http'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { testFolder } from '../../test/folder.js'
import { startS3, type S3Server } from '../../test/servers/s3.js'
import type { ByteStore, ByteStores } from './store.js'
import { openStores } from './stores.js'

let server: S3Server
let stores: ByteStores
let folder: string
const environment = { ...process.env }

beforeAll(async () => {
  server = await startS3()
  Object.assign(process.env, server.env)
  await server.createBucket('corpus')
  stores = openStores()
  folder = testFolder('s3-test')
}, 600_000) // The first run builds the server.

afterAll(async () => {
  stores?.close()
  await server?.stop()
  process.env = environment
})

let stored = 0
/** A store of its own for a test. */
function store(): Promise<ByteStore> {
  return stores.open(`s3://corpus/runs/${stored++}`)
}

async function text(from: ByteStore, key: string): Promise<string> {
  return (await from.read(key, 0, 1 << 20)).toString()
}

async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const all: Buffer[] = []
  for await (const chunk of chunks) all.push(chunk)
  return all
}

test('an object without an ETag has a fingerprint all the same, in listings as alone', async () => {
  const s3 = await store()
  // A file put beside the server's interface has no ETag.
  const file = join(server.folder, new URL(s3.url).host, new URL(s3.url).pathname, 'bare.txt')
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, 'one')
  await utimes(file, 1_000_000, 1_000_000)
  const [listed] = await s3.list('')
  expect(listed).toEqual({ key: 'bare.txt', bytes: 3, fingerprint: '3-1000000' })
  expect(await s3.stat('bare.txt')).toEqual(listed)
})

test('writes, replaces, reads, looks at and deletes an object', async () => {
  const s3 = await store()
  expect(await s3.stat('a/b.json')).toBeUndefined()
  await s3.write('a/b.json', 'old')
  const old = await s3.stat('a/b.json')
  await s3.write('a/b.json', 'newer')
  const entry = await s3.stat('a/b.json')
  expect(entry).toEqual({ key: 'a/b.json', bytes: 5, fingerprint: createHash('md5').update('newer').digest('hex') })
  expect(entry?.fingerprint).not.toBe(old?.fingerprint)
  expect(await text(s3, 'a/b.json')).toBe('newer')
  await s3.delete('a/b.json')
  await s3.delete('a/b.json')
  expect(await s3.stat('a/b.json')).toBeUndefined()
})

test('lists what is below a folder, and only that, sorted by UTF-8 bytes', async () => {
  const s3 = await store()
  const keys = [
    'shards/\u{1f600}',
    'shards/\uff01',
    'shards/a b+c%20.bin',
    'shards/a\nb',
    'shards/z/y',
    'shards2/x',
    'top',
  ]
  for (const key of keys) await s3.write(key, key)
  const listed = await s3.list('shards')
  expect(listed.map(({ key }) => key)).toEqual(
    keys.slice(0, 5).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  )
  for (const entry of listed) {
    expect(entry).toEqual(await s3.stat(entry.key))
    expect(await text(s3, entry.key)).toBe(entry.key)
  }
  expect(await s3.list('nothing')).toEqual([])
  await s3.deleteAll('shards')
  expect((await s3.list('')).map(({ key }) => key)).toEqual(['shards2/x', 'top'])
})

test('lists more objects than one page of the protocol holds', async () => {
  const s3 = await store()
  const keys = Array.from({ length: 1_203 }, (_, i) => `k/${String(i).padStart(5, '0')}`)
  for (let i = 0; i < keys.length; i += 50) await Promise.all(keys.slice(i, i + 50).map((key) => s3.write(key, '')))
  expect((await s3.list('k/')).map(({ key }) => key)).toEqual(keys)
}, 60_000)

test('creates an object once, whoever asks', async () => {
  const s3 = await store()
  const others = await Promise.all(Array.from({ length: 4 }, async () => stores.open(s3.url)))
  const writers = [...others, ...others, ...others, ...others]
  const won = await Promise.all(writers.map((writer, i) => writer.writeIfAbsent('commit', `writer ${i}`)))
  expect(won.filter(Boolean)).toEqual([true])
  expect(await text(s3, 'commit')).toBe(`writer ${won.indexOf(true)}`)
  expect(await s3.writeIfAbsent('commit', 'late')).toBe(false)
  expect((await s3.list('')).map(({ key }) => key)).toEqual(['commit']) // No probe is left.
})

test('refuses to commit to a server that ignores the condition of a PUT', async () => {
  const requests: string[] = []
  const careless = createHttpServer((request, response) => {
    requests.push(`${request.method} ${request.headers['if-none-match'] ?? ''}`.trim())
    request.resume().on('end', () => response.end())
  }).listen(0, '127.0.0.1')
  await once(careless, 'listening')
  const { port } = careless.address() as { port: number }
  await withEnvironment({ AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}` }, async () => {
    const there = await stores2.open('s3://bucket/run')
    await expect(there.writeIfAbsent('commit', 'x')).rejects.toMatchObject({
      code: 'GM_STORE',
      message: "the server of s3://bucket/run does not honour 'If-None-Match: *' on PUT, which commits rely on",
    })
  })
  expect(requests).toEqual(['PUT *', 'PUT *', 'DELETE'])
  careless.close()
})

test('reads any range, shorter only where the object ends', async () => {
  const s3 = await store()
  const content = randomBytes(10_000)
  await s3.write('object', content)
  await s3.write('empty', '')
  const point = fc.nat(12_000)
  await fc.assert(
    fc.asyncProperty(point, point, fc.integer({ min: 1, max: 5_000 }), async (a, b, chunk) => {
      const [from, to] = a < b ? [a, b] : [b, a]
      expect(await s3.read('object', from, to)).toEqual(content.subarray(from, to))
      const chunks = await collect(s3.stream('object', { from, to, chunkBytes: () => chunk }))
      expect(Buffer.concat(chunks)).toEqual(content.subarray(from, to))
      expect(chunks.slice(0, -1).every(({ length }) => length === chunk)).toBe(true)
    }),
    { numRuns: 40 },
  )
  expect(Buffer.concat(await collect(s3.stream('object', { chunkBytes: () => 999 })))).toEqual(content)
  expect(await collect(s3.stream('empty', { chunkBytes: () => 999 }))).toEqual([])
  expect(await s3.read('empty', 0, 10)).toHaveLength(0)
})

test('publishes a local file in parts and takes it away', async () => {
  const s3 = await store()
  for (const bytes of [0, 5, 19 << 20]) {
    const [file, content] = [join(folder, 'shard'), randomBytes(bytes)]
    await writeFile(file, content)
    await s3.publish(file, `shards/${bytes}.bin`)
    await expect(readFile(file)).rejects.toThrow('ENOENT')
    expect((await s3.stat(`shards/${bytes}.bin`))?.bytes).toBe(bytes)
    const read = Buffer.concat(await collect(s3.stream(`shards/${bytes}.bin`, { chunkBytes: () => 1 << 20 })))
    expect(read.equals(content)).toBe(true)
  }
})

test('moves an object, replacing what was there', async () => {
  const s3 = await store()
  await s3.write('from here+now/ä.txt', 'moved')
  await s3.write('to', 'replaced')
  await s3.move('from here+now/ä.txt', 'to')
  expect((await s3.list('')).map(({ key }) => key)).toEqual(['to'])
  expect(await text(s3, 'to')).toBe('moved')
})

test('aborts uploads that a killed writer left', async () => {
  const s3 = await store()
  const sdk = await import('@aws-sdk/client-s3')
  const client = new sdk.S3Client({ forcePathStyle: true })
  const prefix = s3.url.slice('s3://corpus/'.length)
  const uploads = async (): Promise<number> =>
    (await client.send(new sdk.ListMultipartUploadsCommand({ Bucket: 'corpus', Prefix: prefix }))).Uploads?.length ?? 0
  for (const key of ['a', 'b']) {
    await client.send(new sdk.CreateMultipartUploadCommand({ Bucket: 'corpus', Key: `${prefix}/shards/${key}` }))
  }
  expect(await uploads()).toBe(2)
  await s3.deleteUnfinished()
  expect(await uploads()).toBe(0)
  client.destroy()
})

test('goes on reading where a connection broke', async () => {
  const content = randomBytes(3_000_000)
  await (await stores.open('s3://corpus')).write('long', content)
  const proxy = await cuttingProxy(server.port, 700_000)
  await withEnvironment({ AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${proxy.port}` }, async () => {
    const { store: through, key } = await stores2.locate('s3://corpus/long')
    const chunks = await collect(through.stream(key, { chunkBytes: () => 100_000 }))
    expect(Buffer.concat(chunks).equals(content)).toBe(true)
    expect(chunks.map(({ length }) => length)).toEqual(Array(30).fill(100_000))
    expect((await through.read(key, 10, 2_900_000)).equals(content.subarray(10, 2_900_000))).toBe(true)
  })
  expect(proxy.cuts).toBeGreaterThanOrEqual(6)
  await proxy.close()
})

test('an object that is replaced while it is read is an error, not a mixture', async () => {
  const s3 = await store()
  await s3.write('changing', randomBytes(3_000_000))
  const proxy = await cuttingProxy(server.port, 700_000)
  await withEnvironment({ AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${proxy.port}` }, async () => {
    const through = await stores2.open(s3.url)
    const reading = (async () => {
      for await (const _ of through.stream('changing', { chunkBytes: () => 10_000 })) {
        await s3.write('changing', randomBytes(3_000_000))
      }
    })()
    await expect(reading).rejects.toMatchObject({ code: 'GM_INPUT_CHANGED' })
  })
  await proxy.close()
})

test('stops at once when the signal aborts', async () => {
  const s3 = await store()
  await s3.write('object', randomBytes(1_000_000))
  const controller = new AbortController()
  const reading = (async () => {
    for await (const _ of s3.stream('object', { chunkBytes: () => 1_000, signal: controller.signal }))
      controller.abort()
  })()
  await expect(reading).rejects.toMatchObject({ name: 'AbortError' })
  await expect(
    s3.stream('object', { chunkBytes: () => 1_000, signal: AbortSignal.abort() }).next(),
  ).rejects.toMatchObject({ name: 'AbortError' })
})

test('errors name the object, the status and what to do', async () => {
  const s3 = await store()
  await expect(s3.read('nothing', 0, 5)).rejects.toMatchObject({
    code: 'GM_STORE',
    message: `cannot read ${s3.url}/nothing: NoSuchKey: The specified key does not exist. (HTTP 404)`,
  })
  const nowhere = await stores.open('s3://no-such-bucket/x')
  await expect(nowhere.list('')).rejects.toMatchObject({
    code: 'GM_STORE',
    message: expect.stringMatching(/^cannot list s3:\/\/no-such-bucket\/x: NoSuchBucket: .* \(HTTP 404\)$/),
    hint: expect.stringContaining('bucket name'),
  })
  await withEnvironment({ AWS_SECRET_ACCESS_KEY: 'wrong' }, async () => {
    await expect((await stores2.open(s3.url)).write('a', 'b')).rejects.toMatchObject({
      code: 'GM_STORE',
      message: expect.stringMatching(/^cannot write .*\/a: SignatureDoesNotMatch: .* \(HTTP 403\)$/),
      hint: 'check AWS_SECRET_ACCESS_KEY',
    })
  })
  await withEnvironment({ AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined, HOME: folder }, async () => {
    await expect((await stores2.open(s3.url)).list('')).rejects.toMatchObject({
      code: 'GM_STORE',
      message: `cannot list ${s3.url}: no credentials were found`,
    })
  })
  await withEnvironment({ AWS_ENDPOINT_URL_S3: 'http://127.0.0.1:1', AWS_MAX_ATTEMPTS: '1' }, async () => {
    await expect((await stores2.open(s3.url)).stat('a')).rejects.toMatchObject({
      code: 'GM_STORE',
      message: expect.stringContaining('ECONNREFUSED'),
      hint: expect.stringContaining('AWS_ENDPOINT_URL_S3'),
    })
  })
  await expect(stores.open('gs://bucket')).rejects.toMatchObject({ message: expect.stringContaining("'gs://'") })
  await expect(stores.open('s3://')).rejects.toMatchObject({ hint: 'write s3://bucket/prefix' })
})

test('works without a configured region', async () => {
  const s3 = await store()
  await withEnvironment({ AWS_REGION: undefined, AWS_DEFAULT_REGION: undefined, HOME: folder }, async () => {
    const plain = await stores2.open(s3.url)
    await plain.write('a', 'b')
    expect(await text(plain, 'a')).toBe('b')
  })
})

/** A second set of stores, connecting anew within `withEnvironment`. */
let stores2: ByteStores

async function withEnvironment(changes: Record<string, string | undefined>, work: () => Promise<void>): Promise<void> {
  const before = { ...process.env }
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
  }
  stores2 = openStores()
  try {
    await work()
  } finally {
    stores2.close()
    process.env = before
  }
}

interface Proxy {
  readonly port: number
  readonly cuts: number
  close(): Promise<void>
}

/** Stands between client and server and cuts each connection after so many bytes of answers. */
async function cuttingProxy(target: number, afterBytes: number): Promise<Proxy> {
  let cuts = 0
  const sockets = new Set<Socket>()
  const listener: Server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    let passed = 0
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => {}).on('close', () => (client.destroy(), upstream.destroy()))
    }
    client.pipe(upstream)
    upstream.on('data', (bytes: Buffer) => {
      passed += bytes.length
      if (passed <= afterBytes) return void client.write(bytes)
      cuts++
      client.end(bytes.subarray(0, bytes.length - (passed - afterBytes)))
      upstream.destroy()
    })
  }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address() as { port: number }
  return {
    port: address.port,
    get cuts() {
      return cuts
    },
    close: async () => {
      for (const socket of sockets) socket.destroy()
      listener.close()
      await once(listener, 'close')
    },
  }
}
