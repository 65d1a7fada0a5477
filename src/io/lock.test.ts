import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { beforeEach, expect, test, vi } from 'vitest'
import { lockFolder, lockStore } from './lock.js'
import { openStores } from './stores.js'
import { testFolder } from '../../test/folder.js'

const BUILT = fileURLToPath(new URL('../../dist/io/lock.js', import.meta.url))

let folder: string
beforeEach(async () => {
  folder = join(testFolder('lock'), 'runs/corpus')
})

/** A process that holds the lock, with the collector at work, until it is killed. */
async function otherRun(): Promise<ChildProcess> {
  expect(existsSync(BUILT), 'build first: npx tsc -b').toBe(true)
  const script = `
    import { lockFolder } from ${JSON.stringify(BUILT)}
    await lockFolder(process.argv[1])
    globalThis.gc()
    console.log('locked')
    setInterval(() => globalThis.gc(), 10)`
  const child = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', script, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  return child
}

test('a second run of this process is refused until the first releases', async () => {
  const lock = await lockFolder(folder)
  await expect(lockFolder(folder)).rejects.toMatchObject({
    code: 'GM_RUN_LOCKED',
    message: expect.stringContaining(
      `${folder} is in use by another run (process ${process.pid} on ${hostname()}, since`,
    ),
  })
  lock.release()
  lock.release()
  using again = await lockFolder(folder)
  expect(again).toBeDefined()
})

test('the lock of a killed run is free at once, and only then', async () => {
  for (let i = 0; i < 3; i++) {
    const child = await otherRun()
    await expect(lockFolder(folder)).rejects.toMatchObject({
      code: 'GM_RUN_LOCKED',
      message: expect.stringContaining(`process ${child.pid} `),
    })
    child.kill('SIGKILL')
    await once(child, 'exit')
    const lock = await lockFolder(folder)
    lock.release()
  }
}, 30_000)

test('a folder that cannot be made is an error that names it', async () => {
  await expect(lockFolder('/dev/null/runs')).rejects.toMatchObject({
    code: 'GM_IO',
    message: expect.stringContaining('cannot create /dev/null/runs'),
  })
})

test('a run in an object store is kept apart from others of this machine', async () => {
  vi.stubEnv('TMPDIR', join(folder, '../..')) // Lock files stay behind; not in the machine's folder, please.
  const stores = openStores()
  const url = `s3://bucket${folder}`
  const first = await lockStore(await stores.open(url))
  await expect(lockStore(await stores.open(`${url}/`))).rejects.toMatchObject({
    code: 'GM_RUN_LOCKED',
    message: expect.stringContaining(`${url} is in use by another run`),
  })
  const other = await lockStore(await stores.open(`${url}2`))
  const local = await lockStore(await stores.open(folder))
  expect(existsSync(join(folder, '.lock'))).toBe(true)
  for (const lock of [first, other, local]) lock.release()
  stores.close()
  vi.unstubAllEnvs()
})
