/**
 * One run at a time in a directory, held by a kernel lock (`flock`): it ends with the process, even by
 * SIGKILL, so there is never a stale lock to delete.
 *
 * An object store has no such lock. A run whose output lies there is guarded by a local lock file named
 * after its address, in the machine's temporary folder: that keeps two runs of one machine apart, not two
 * machines.
 */
import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { GristmillError, ioError } from '../core/errors.js'
import { FileLock } from '../kernels/lock.js'
import type { ByteStore } from './store.js'

/** The lock file of a local run directory. It stays there; only the lock on it counts. */
export const LOCK_FILE = '.lock'

/** Locks a run directory, creating it when there is none; GM_RUN_LOCKED when another run holds it. */
export async function lockFolder(folder: string): Promise<FileLock> {
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw ioError(`create ${folder}`, error)
  })
  return lockFile(join(folder, LOCK_FILE), folder)
}

/** Locks the folder of a store: in place when it is local, by a local stand-in when it is not. */
export async function lockStore(store: ByteStore): Promise<FileLock> {
  if (store.localFolder !== undefined) return lockFolder(store.localFolder)
  const name = createHash('sha256').update(store.url).digest('hex').slice(0, 32)
  return lockFile(join(tmpdir(), `gristmill-${name}.lock`), store.url)
}

async function lockFile(file: string, what: string): Promise<FileLock> {
  const lock = FileLock.tryAcquire(file)
  if (lock === null) {
    const holder = await readFile(file, 'utf8').catch(() => '')
    throw new GristmillError('GM_RUN_LOCKED', `${what} is in use by another run${holder && ` (${holder.trim()})`}`)
  }
  // For people who look: nothing depends on it.
  await writeFile(file, `process ${process.pid} on ${hostname()}, since ${new Date().toISOString()}\n`).catch(() => {})
  return lock
}
