/**
 * Free space of the disk behind a folder.
 */
import { statfs } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { ioError } from '../core/errors.js'

/** Bytes this user may still write below `folder`, which need not exist yet. */
export async function freeBytes(folder: string): Promise<number> {
  const at = resolve(folder)
  try {
    const { bavail, bsize } = await statfs(at)
    return bavail * bsize
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT' && at !== dirname(at)
    if (missing) return freeBytes(dirname(at))
    throw ioError(`find the free space of ${at}`, error)
  }
}
