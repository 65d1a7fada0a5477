/**
 * Local files that appear whole under their final name or not at all, whatever is killed when.
 *
 * Write elsewhere, rename. Nothing is fsynced: the kernel keeps what a killed process wrote, and waiting
 * for the disk would bound a run by it (a tokenised corpus is larger than its text). After a power cut,
 * which can lose what was not yet on the disk, the engine checks hashes before it trusts a file (see
 * `engine/run-directory.ts`). What a killed writer leaves behind carries `UNFINISHED` in its name;
 * `isUnfinished` tells it apart.
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

/** Writes a new file in `folder` under an unfinished name; the caller renames, links or deletes it. */
async function writeUnfinished(folder: string, bytes: string | Uint8Array): Promise<string> {
  const file = unfinishedName(folder)
  try {
    await using handle = await open(file, 'wx')
    await handle.writeFile(bytes)
  } catch (error) {
    await rm(file, { force: true })
    throw error
  }
  return file
}

/** Gives `file` the content `bytes`; `scratch` is a folder for the unfinished file. */
export async function writeAtomically(file: string, bytes: string | Uint8Array, scratch: string): Promise<void> {
  await retryWithFolders([scratch, dirname(file)], async () => {
    const unfinished = await writeUnfinished(scratch, bytes)
    try {
      await moveAtomically(unfinished, file)
    } catch (error) {
      await rm(unfinished, { force: true })
      throw error
    }
  })
}

/** As `writeAtomically`, but only when there is no such file; false when there was. */
export async function createAtomically(file: string, bytes: string | Uint8Array, scratch: string): Promise<boolean> {
  return retryWithFolders([scratch, dirname(file)], async () => {
    const unfinished = await writeUnfinished(scratch, bytes)
    try {
      const created = await linkUnlessExists(unfinished, file)
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
  await moveAtomically(from, to)
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

/** Renames a file, replacing what was there; copies when `to` lies on another device. */
export async function moveAtomically(from: string, to: string): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EXDEV') throw error
    await copyAcrossDevices(from, to)
  }
}

async function copyAcrossDevices(from: string, to: string): Promise<void> {
  const unfinished = unfinishedName(dirname(to))
  try {
    await copyFile(from, unfinished)
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
    for (const folder of folders) await mkdir(folder, { recursive: true })
    return work()
  }
}
