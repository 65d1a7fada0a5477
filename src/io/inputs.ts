/**
 * Turns the paths of a source into its input files: files, folders, globs, `-` and `s3://` addresses.
 *
 * The list depends on the paths and the storage alone: every file once, sorted bytewise by the path
 * relative to the configuration, which is what a row's identity is made of. What is inside the files is
 * the formats' business.
 */
import { resolve } from 'node:path'
import { compareBytewise } from '../core/bytewise.js'
import { mapConcurrent } from '../core/concurrent.js'
import { GristmillError } from '../core/errors.js'
import type { ByteStores } from './store.js'
import { isDataFile } from './data-files.js'
import { findLocal } from './inputs-local.js'
import { findRemote } from './inputs-remote.js'
import { compilePattern, isRemote, type Pattern } from './pattern.js'

/** One input file. */
export interface InputFile {
  /** Relative to the configuration, `/`-separated; the row's identity. Never absolute (an `s3://` address is kept whole). */
  readonly path: string
  /** What the store opens: an absolute local path, an `s3://` address, or `-` for standard input. */
  readonly url: string
  /** Bytes as stored; 0 for standard input. */
  readonly size: number
  /** Changes when the content does: size and modification time, or ETag. */
  readonly fingerprint: string
}

/** What one path came to: files, or why there are none. */
export type Found = { readonly files: readonly InputFile[] } | { readonly missing: Missing }

export interface Missing {
  /** What was looked for, where, and what was there instead. */
  readonly message: string
  readonly hint?: string
}

/** How one path is looked up. */
export interface Search {
  readonly pattern: Pattern
  /** Absolute folder of the configuration. */
  readonly baseFolder: string
  /** Whether a file found in a folder, not named itself, is taken. */
  fits(name: string): boolean
  readonly stores: ByteStores
}

/** Paths looked up at once: a configuration may name thousands of files. */
const CONCURRENT_PATHS = 16

const STANDARD_INPUT: InputFile = { path: '-', url: '-', size: 0, fingerprint: 'stdin' }

/**
 * The input files of `paths`, bytewise-sorted by path, none twice.
 *
 * A path is a file, a folder (all files below it whose extension fits), a glob, `-` for standard input,
 * or an `s3://` address of the same kinds; `!` before a glob takes out what it matches. A path that
 * exists is taken literally, glob characters or not. `extensions` are the format's, as in `.jsonl`, or
 * those of all formats; they decide for folders and for globs that state no extension (`data/**`), never
 * for a file that was named.
 *
 * @throws GM_INPUT_NONE when a path yields nothing, for all such paths at once.
 */
export async function listInputs(
  paths: readonly string[],
  baseFolder: string,
  extensions: readonly string[],
  stores: ByteStores,
): Promise<InputFile[]> {
  const base = resolve(baseFolder)
  const fits = (name: string): boolean => isDataFile(name, extensions)
  const excluded = paths.filter(takesOut).map((path) => exclusion(path.slice(1), base))
  const wanted = paths.filter((path) => !takesOut(path))
  if (wanted.length === 0) throw new GristmillError('GM_INPUT_NONE', 'no input: `source.paths` is empty')

  const files = new Map<string, InputFile>()
  const missing: Missing[] = []
  const lookUp = (path: string): Promise<Found> =>
    find(path, { pattern: compilePattern(path), baseFolder: base, fits, stores })
  for (const found of await mapConcurrent(wanted, CONCURRENT_PATHS, lookUp)) {
    if ('missing' in found) missing.push(found.missing)
    else for (const file of found.files) if (!excluded.some((test) => test(file.url))) files.set(file.path, file)
  }
  if (missing.length > 0) throw noInput(missing)
  if (files.size === 0) throw new GristmillError('GM_INPUT_NONE', 'no input: the patterns with `!` take out every file')
  return [...files.values()].sort((a, b) => compareBytewise(a.path, b.path))
}

async function find(path: string, search: Search): Promise<Found> {
  if (path === '-') return { files: [STANDARD_INPUT] }
  return isRemote(path) ? findRemote(search) : findLocal(search)
}

/** `!d/*.log` takes files out; `!(a).log` is a glob that matches what `a.log` is not. */
function takesOut(path: string): boolean {
  return path.startsWith('!') && !path.startsWith('!(')
}

/** Tests addresses against a pattern that takes files out; a folder takes out all below it. */
function exclusion(path: string, baseFolder: string): (url: string) => boolean {
  const { folder, matches } = compilePattern(path)
  const root = isRemote(path) ? folder : resolve(baseFolder, folder)
  const below = root.endsWith('/') ? root : `${root}/`
  return (url) => url === root || (url.startsWith(below) && matches(url.slice(below.length)))
}

const SHOWN = 5

function noInput(missing: readonly Missing[]): GristmillError {
  const shown = missing.slice(0, SHOWN).map(({ message }) => message)
  if (missing.length > SHOWN) shown.push(`and ${missing.length - SHOWN} more`)
  const hint = missing.find((one) => one.hint !== undefined)?.hint
  return new GristmillError('GM_INPUT_NONE', shown.join('\n'), hint === undefined ? {} : { hint })
}
