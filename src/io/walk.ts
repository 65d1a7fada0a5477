/**
 * Walks a local folder: the files below it, through symbolic links, safe against their cycles.
 *
 * It only names files; sizes and fingerprints are `local.ts`'s, what counts as input is `inputs.ts`'s.
 */
import { readdir, realpath, stat } from 'node:fs/promises'
import type { Dirent } from 'node:fs'
import { join } from 'node:path'
import { mapConcurrent } from '../core/concurrent.js'
import { ioError } from '../core/errors.js'

/** Folders read at once; more than libuv's four threads, so that none of them waits for us. */
const CONCURRENT_FOLDERS = 16

export interface WalkOptions {
  /** Whether to look into the folder at this `/`-separated path relative to the root. */
  readonly enter?: (path: string) => boolean
}

interface Folder {
  /** Relative to the root, '' for the root itself. */
  readonly path: string
  readonly real: string
  readonly parent: Folder | undefined
}

/**
 * Paths of all that is no folder below `root`, `/`-separated and relative to it, in no order.
 *
 * A symbolic link to a folder is entered unless it leads to a folder the walk came through; a file with
 * two names is listed under both. Broken links are listed, so that whoever opens them can say so. A root
 * that does not exist holds nothing.
 */
export async function walk(root: string, options: WalkOptions = {}): Promise<string[]> {
  const real = await realpath(root).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    throw ioError(`list ${root}`, error)
  })
  if (real === undefined) return []
  const files: string[] = []
  let level: Folder[] = [{ path: '', real, parent: undefined }]
  while (level.length > 0) {
    const below = await mapConcurrent(level, CONCURRENT_FOLDERS, (folder) => readFolder(root, folder, options, files))
    level = below.flat()
  }
  return files
}

async function readFolder(root: string, folder: Folder, options: WalkOptions, files: string[]): Promise<Folder[]> {
  const here = join(root, folder.path)
  let entries: Dirent[]
  try {
    entries = await readdir(here, { withFileTypes: true })
  } catch (error) {
    // Another process may delete a folder between its listing and ours; a root that is a file holds nothing.
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw ioError(`list ${here}`, error)
  }
  const folders: Folder[] = []
  for (const entry of entries) {
    const path = folder.path === '' ? entry.name : `${folder.path}/${entry.name}`
    const linked = entry.isSymbolicLink()
    if (!entry.isDirectory() && !(linked && (await isFolder(join(root, path))))) {
      files.push(path)
    } else if (options.enter?.(path) ?? true) {
      const real = linked ? await realpath(join(root, path)) : join(folder.real, entry.name)
      if (!cameThrough(folder, real)) folders.push({ path, real, parent: folder })
    }
  }
  return folders
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch {
    return false // A broken link, or a link to itself.
  }
}

function cameThrough(folder: Folder, real: string): boolean {
  for (let at: Folder | undefined = folder; at !== undefined; at = at.parent) if (at.real === real) return true
  return false
}
