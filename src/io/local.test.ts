import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import { testFolder } from '../../test/folder.js'
import { ioError } from '../core/errors.js'
import { LocalStore } from './local.js'
import { openStores } from './stores.js'

const BUILT = fileURLToPath(new URL('../../dist/io/local.js', import.meta.url))

let folder: string
let store: LocalStore

beforeEach(async () => {
  folder = testFolder('local')
  store = new LocalStore(join(folder, 'run'))
})

async function collect(chunks: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const all: Buffer[] = []
  for await (const chunk of chunks) all.push(chunk)
  return all
}

/** Names of everything in the store's folder, hidden files too. */
async function everything(): Promise<string[]> {
  return (await readdir(store.url, { recursive: true })).sort()
}

test('writes, replaces, looks at and deletes a file, making folders as needed', async () => {
  expect(await store.stat('a/b/c.json')).toBeUndefined()
  expect(await store.list('')).toEqual([])
  await store.write('a/b/c.json', 'old')
  const old = await store.stat('a/b/c.json')
  await store.write('a/b/c.json', Buffer.from('newer'))
  const { mtimeNs } = await stat(join(store.url, 'a/b/c.json'), { bigint: true })
  expect(await store.stat('a/b/c.json')).toEqual({ key: 'a/b/c.json', bytes: 5, fingerprint: `5-${mtimeNs}` })
  expect(old?.bytes).toBe(3)
  expect(await store.stat('a/b')).toBeUndefined()
  expect(await everything()).toEqual(['a', 'a/b', 'a/b/c.json'])
  await store.delete('a/b/c.json')
  await store.delete('a/b/c.json')
  expect(await store.stat('a/b/c.json')).toBeUndefined()
})

test('lists what is below a folder, and only that, sorted by UTF-8 bytes', async () => {
  const keys = ['s/\u{1f600}', 's/\uff01', 's/a b', 's/a\nb', 's/z/y', 's2/x', 'top']
  for (const key of keys) await store.write(key, key)
  const listed = await store.list('s')
  const sorted = keys.slice(0, 5).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  expect(listed.map(({ key }) => key)).toEqual(sorted)
  for (const entry of listed) expect(entry).toEqual(await store.stat(entry.key))
  expect(await store.list('nothing')).toEqual([])
  expect(await store.list('top')).toEqual([])
  await store.deleteAll('s')
  expect((await store.list('')).map(({ key }) => key)).toEqual(['s2/x', 'top'])
})

test('lists through links to folders and survives their cycles', async () => {
  await store.write('a/x', '')
  await store.write('b/y', '')
  await symlink(join(store.url, 'b'), join(store.url, 'a/to-b'))
  await symlink(join(store.url, 'a'), join(store.url, 'b/to-a'))
  await symlink('.', join(store.url, 'a/self'))
  await symlink('broken', join(store.url, 'a/broken'))
  const keys = (await store.list('')).map(({ key }) => key)
  expect(keys).toEqual(['a/to-b/y', 'a/x', 'b/to-a/x', 'b/y'])
})

test('creates a file once, whoever asks', async () => {
  const won = await Promise.all(Array.from({ length: 20 }, (_, i) => store.writeIfAbsent('c/commit', `writer ${i}`)))
  expect(won.filter(Boolean)).toEqual([true])
  expect(await readFile(join(store.url, 'c/commit'), 'utf8')).toBe(`writer ${won.indexOf(true)}`)
  expect(await everything()).toEqual(['c', 'c/commit'])
})

test('publishes and moves files, replacing what was there', async () => {
  const file = join(folder, 'scratch')
  await writeFile(file, 'shard')
  await store.publish(file, 'shards/0.bin')
  expect(existsSync(file)).toBe(false)
  await store.write('old/1.bin', 'replaced')
  await store.move('shards/0.bin', 'old/1.bin')
  expect((await store.read('old/1.bin', 0, 99)).toString()).toBe('shard')
  expect((await store.list('')).map(({ key }) => key)).toEqual(['old/1.bin'])
})

const otherDisk = existsSync('/dev/shm') && statSync('/dev/shm').dev !== statSync(tmpdir()).dev
test.skipIf(!otherDisk)('publishes from another disk (skipped where /dev/shm is none)', async () => {
  const scratch = await mkdtemp('/dev/shm/gristmill-')
  try {
    const file = join(scratch, 'shard')
    const content = Buffer.alloc(3_000_000, 'x')
    await writeFile(file, content)
    await store.publish(file, 'shards/0.bin')
    expect(existsSync(file)).toBe(false)
    expect((await readFile(join(store.url, 'shards/0.bin'))).equals(content)).toBe(true)
    expect(await everything()).toEqual(['shards', 'shards/0.bin'])
  } finally {
    await rm(scratch, { recursive: true })
  }
})

test('the chunks of any range are the range, whatever their size', async () => {
  const content = Buffer.from(Array.from({ length: 3_000 }, (_, i) => (i * 7_919) % 251))
  await store.write('file', content)
  const point = fc.nat(3_500)
  await fc.assert(
    fc.asyncProperty(
      point,
      point,
      fc.array(fc.integer({ min: 1, max: 1_500 }), { minLength: 1 }),
      async (a, b, sizes) => {
        const [from, to] = a < b ? [a, b] : [b, a]
        let asked = 0
        const chunks: Buffer[] = []
        const chunkBytes = (): number => sizes.at(asked++ % sizes.length) ?? 1
        // A chunk is good until the next is asked for.
        for await (const chunk of store.stream('file', { from, to, chunkBytes })) chunks.push(Buffer.from(chunk))
        expect(Buffer.concat(chunks)).toEqual(content.subarray(from, to))
        expect(await store.read('file', from, to)).toEqual(content.subarray(from, to))
      },
    ),
  )
  const memory = new Set<ArrayBufferLike>()
  for await (const { buffer } of store.stream('file', { chunkBytes: () => 64 })) memory.add(buffer)
  expect(memory.size).toBe(2)
})

test('reads one chunk ahead, not more', async () => {
  await store.write('file', Buffer.alloc(10))
  let asked = 0
  const stream = store.stream('file', { chunkBytes: () => (asked++, 1) })
  await stream.next()
  await setTimeout(30)
  expect(asked).toBe(2)
  await stream.return(undefined)
  expect(asked).toBe(2)
})

test('closes the file when the reader leaves early, fails or is aborted', async () => {
  await store.write('file', Buffer.alloc(1_000))
  const openFiles = async (): Promise<number> => (await readdir('/dev/fd')).length
  const before = await openFiles()
  for (let i = 0; i < 5; i++) {
    for await (const _ of store.stream('file', { chunkBytes: () => 10 })) break
    const controller = new AbortController()
    const reading = (async () => {
      for await (const _ of store.stream('file', { chunkBytes: () => 10, signal: controller.signal }))
        controller.abort()
    })()
    await expect(reading).rejects.toMatchObject({ name: 'AbortError' })
  }
  expect(await openFiles()).toBe(before)
})

test('a file that shrinks while it is read is an error, not a short file', async () => {
  await store.write('file', Buffer.alloc(1_000))
  const reading = (async () => {
    for await (const _ of store.stream('file', { chunkBytes: () => 100 })) await truncate(join(store.url, 'file'), 250)
  })()
  await expect(reading).rejects.toMatchObject({
    code: 'GM_INPUT_CHANGED',
    message: `${store.url}/file ended at byte 250; it had 1000 bytes when it was opened`,
  })
})

test('errors say what was done to which file', async () => {
  await expect(store.read('no/such', 0, 1)).rejects.toMatchObject({
    code: 'GM_IO',
    message: expect.stringMatching(`^cannot read ${store.url}/no/such: ENOENT`),
  })
  await expect(collect(store.stream('nothing', { chunkBytes: () => 1 }))).rejects.toMatchObject({ code: 'GM_IO' })
  await writeFile(join(folder, 'file'), '')
  const blocked = new LocalStore(join(folder, 'file'))
  await expect(blocked.write('a', '')).rejects.toMatchObject({
    code: 'GM_IO',
    message: expect.stringMatching(/^cannot write .*\/file\/a: ENOTDIR/),
  })
  await expect(store.publish(join(folder, 'none'), 'a')).rejects.toMatchObject({ code: 'GM_IO' })
  await expect(store.write('../out', '')).rejects.toMatchObject({ code: 'GM_INTERNAL' })
})

test('locates a file by its path', async () => {
  await store.write('a/b', 'here')
  const stores = openStores()
  const { store: found, key } = await stores.locate(join(store.url, 'a/b'))
  expect((await found.read(key, 0, 9)).toString()).toBe('here')
  stores.close()
})

/** The child writes version after version and says which are done; each file holds one version's number throughout. */
const ENDLESS_WRITER = `
  import { LocalStore } from ${JSON.stringify(BUILT)}
  const store = new LocalStore(process.argv[1])
  for (let n = Number(process.argv[2]); ; n++) {
    await store.write('state', (n + ' ').repeat(20_000))
    process.stdout.write(n + ' ')
  }`

test('a reader sees the old content or the new, wherever the writer was killed', async () => {
  expect(existsSync(BUILT), 'build first: npx tsc -b').toBe(true)
  let version = 0
  for (let kill = 0; kill < 15; kill++) {
    const args = ['--input-type=module', '-e', ENDLESS_WRITER, store.url, String(version + 1)]
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
    let told = ''
    child.stdout.on('data', (text) => (told += String(text)))
    while (told === '') await setTimeout(5)
    await setTimeout((kill * 7) % 23)
    child.kill('SIGKILL')
    await once(child, 'close')
    const done = Number(told.slice(0, told.lastIndexOf(' ')).split(' ').at(-1))
    const words = (await readFile(join(store.url, 'state'), 'utf8')).trim().split(' ')
    version = Number(words[0])
    expect(words).toHaveLength(20_000)
    expect(new Set(words).size).toBe(1)
    expect(version).toBeGreaterThanOrEqual(done)
    expect((await store.list('')).map(({ key }) => key)).toEqual(['state'])
  }
  await store.deleteUnfinished()
  expect(await everything()).toEqual(['state'])
}, 60_000)

/** Runs on a disk of 1 MiB and reports what happened. */
const FULL_DISK = `
  import { readdir, writeFile, access } from 'node:fs/promises'
  import { LocalStore } from ${JSON.stringify(BUILT)}
  const [disk, scratch] = process.argv.slice(1)
  const store = new LocalStore(disk)
  const code = (work) => work.then(() => 'done', (error) => error.code)
  await store.write('state', 'old')
  const big = Buffer.alloc(2_000_000)
  await writeFile(scratch, big)
  console.log(JSON.stringify({
    write: await code(store.write('state', big)),
    create: await code(store.writeIfAbsent('commit', big)),
    publish: await code(store.publish(scratch, 'shard')),
    state: String(await store.read('state', 0, 9)),
    files: await readdir(disk),
    scratch: await code(access(scratch)),
  }))`

test('a full disk is GM_DISK_FULL and leaves what was there, and no rubbish', async () => {
  const disk = join(folder, 'disk')
  await mkdir(disk)
  // The mount lives in a namespace of the child, so it goes away with it.
  const namespace = process.getuid?.() === 0 ? ['--mount'] : ['--map-root-user', '--mount']
  const mount = ['unshare', ...namespace, 'mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]
  const mayMount = await run(mount).then(
    () => true,
    () => false,
  )
  if (!mayMount) return fullDevice()
  const script = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" --input-type=module -e "$3" "$1" "$4"'
  const child = ['sh', '-c', script, 'sh', disk, process.execPath, FULL_DISK, join(folder, 'scratch')]
  expect(JSON.parse(await run(['unshare', ...namespace, ...child]))).toEqual({
    write: 'GM_DISK_FULL',
    create: 'GM_DISK_FULL',
    publish: 'GM_DISK_FULL',
    state: 'old',
    files: ['state'],
    scratch: 'done',
  })
})

/** Where no disk can be mounted: the kernel's own error, through the same mapping. */
async function fullDevice(): Promise<void> {
  await using handle = await open('/dev/full', 'w')
  const error = await handle.writeFile('x').catch((cause: unknown) => ioError('write /dev/full', cause))
  expect(error).toMatchObject({ code: 'GM_DISK_FULL', message: expect.stringContaining('cannot write /dev/full') })
}

async function run([command = '', ...args]: string[]): Promise<string> {
  return (await promisify(execFile)(command, args)).stdout
}
