/**
 * Local files that survive a crash: whole under their final name or not there, on the disk when the call
 * returns.
 *
 * The recipe is the usual one: write elsewhere, fsync the file, rename, fsync the folder. What a killed
 * writer leaves behind carries `UNFINISHED` in its name; `isUnfinished` tells it apart.
 */
import { randomBytes } from 'node:crypto'
import { copyFile, link, mkdir, open, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

const UNFINISHED = '.gristmill-unfinished-'

/** Whether a path names a file that its writer did not finish. */
export function isUnfinished(path: string): boolean {
  return basename(path).startsWith(UNFINISHED)
}

function unfinishedName(folder: string): string {
  return join(folder, UNFINISHED + randomBytes(8).toString('hex'))
}

/** Creates a folder and what is missing above it, so that they survive a crash. */
export async function ensureFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true })
  if (first === undefined) return
  // A new folder is an entry of the one above it: sync from the deepest new folder's parent upwards.
  for (let at = folder; at.length >= first.length; at = dirname(at)) await syncFolder(dirname(at))
}

/** Makes renames and deletions in a folder survive a crash. */
export async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r')
  await handle.sync()
}

/** Makes a file's bytes survive a crash. */
export async function syncFile(file: string): Promise<void> {
  await using handle = await open(file, 'r')
  await handle.sync()
}

/** Writes and syncs a new file in `folder` under an unfinished name; the caller renames, links or deletes it. */
async function writeUnfinished(folder: string, bytes: string | Uint8Array): Promise<string> {
  const file = unfinishedName(folder)
  try {
    await using handle = await open(file, 'wx')
    await handle.writeFile(bytes)
    await handle.sync()
  } catch (error) {
    await rm(file, { force: true })
    throw error
  }
  return file
}

/** Gives `file` the content `bytes`; `scratch` is a folder for the unfinished file. */
export async function writeDurably(file: string, bytes: string | Uint8Array, scratch: string): Promise<void> {
  await retryWithFolders([scratch, dirname(file)], async () => {
    const unfinished = await writeUnfinished(scratch, bytes)
    try {
      await moveDurably(unfinished, file)
    } catch (error) {
      await rm(unfinished, { force: true })
      throw error
    }
  })
}

/** As `writeDurably`, but only when there is no such file; false when there was. */
export async function createDurably(file: string, bytes: string | Uint8Array, scratch: string): Promise<boolean> {
  return retryWithFolders([scratch, dirname(file)], async () => {
    const unfinished = await writeUnfinished(scratch, bytes)
    try {
      const created = await linkUnlessExists(unfinished, file)
      await syncFolder(dirname(file))
      return created
    } finally {
      await rm(unfinished, { force: true })
    }
  })
}

/** A hard link is the one atomic "create unless it exists" that shows the whole content at once. */
async function linkUnlessExists(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    if (!NO_HARD_LINKS.has(code ?? '')) throw error
  }
  // File systems without hard links (exFAT, some network mounts), or `to` on another device: two writers
  // could now both see nothing and the later one wins whole. The run's lock keeps other writers away.
  if (await exists(to)) return false
  await moveDurably(from, to)
  return true
}

const NO_HARD_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EXDEV'])

async function exists(file: string): Promise<boolean> {
  try {
    await stat(file)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
}

/** Renames a synced file, replacing what was there; copies when `to` lies on another device. */
export async function moveDurably(from: string, to: string): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error
    await copyAcrossDevices(from, to)
  }
  await syncFolder(dirname(to))
}

async function copyAcrossDevices(from: string, to: string): Promise<void> {
  const unfinished = unfinishedName(dirname(to))
  try {
    await copyFile(from, unfinished)
    await syncFile(unfinished)
    await rename(unfinished, to)
  } catch (error) {
    await rm(unfinished, { force: true })
    throw error
  }
  await rm(from, { force: true })
}

/** Runs `work`; when a folder was missing, creates them all and runs it once more. */
export async function retryWithFolders<T>(folders: readonly string[], work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    for (const folder of folders) await ensureFolder(folder)
    return work()
  }
}
