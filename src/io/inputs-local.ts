/**
 * Input files on local disks: named, below a folder, or matched by a glob.
 */
import type { BigIntStats } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { GristmillError, nearest } from '../core/errors.js'
import { fingerprint, statFile, statFiles } from './stat.js'
import { walk } from './walk.js'
import { countExtensions, isHidden } from './data-files.js'
import type { Found, InputFile, Missing, Search } from './inputs.js'

export async function findLocal(search: Search): Promise<Found> {
  const { pattern, baseFolder } = search
  const literal = resolve(baseFolder, pattern.text)
  const stats = await statFile(literal)
  if (stats?.isDirectory()) return inFolder(literal, search)
  if (stats?.isFile()) return { files: [inputFile(literal, stats, search)] }
  if (stats !== undefined)
    return { missing: { message: `${literal} is no regular file`, hint: "use '-' for standard input" } }
  return pattern.isGlob ? byGlob(search) : { missing: await noSuchFile(literal, pattern.text) }
}

async function inFolder(folder: string, search: Search): Promise<Found> {
  const all = await walk(folder, { enter: (path) => !isHidden(path) })
  const visible = all.filter((path) => !isHidden(path))
  const fitting = visible.filter((path) => search.fits(path))
  if (fitting.length === 0) return { missing: nothingFits(`the folder ${folder}`, 'holds', visible) }
  return { files: await inputFiles(folder, fitting, search) }
}

async function byGlob(search: Search): Promise<Found> {
  const { pattern, baseFolder } = search
  const folder = resolve(baseFolder, pattern.folder)
  if (!(await statFile(folder))?.isDirectory()) {
    const { message, hint } = await noSuchFile(folder, pattern.folder)
    return { missing: { message: `the glob '${pattern.text}' matches nothing: ${message}`, ...(hint && { hint }) } }
  }
  const all = await walk(folder, { enter: (path) => pattern.mayHold(path) })
  const matching = all.filter((path) => pattern.matches(path))
  const fitting = pattern.namesExtension ? matching : matching.filter((path) => search.fits(path))
  if (fitting.length > 0) return { files: await inputFiles(folder, fitting, search) }
  const glob = `the glob '${pattern.text}'`
  if (matching.length > 0) return { missing: nothingFits(glob, 'matched', matching) }
  const visible = all.filter((path) => !isHidden(path))
  const instead = visible.length === 0 ? 'no files' : `${visible.length} other files (${countExtensions(visible)})`
  return { missing: { message: `${glob} matches nothing: ${folder} holds ${instead}` } }
}

/** The message for files that are there but are no data of the wanted format. */
export function nothingFits(what: string, verb: string, others: readonly string[]): Missing {
  if (others.length === 0) return { message: `${what} ${verb} no files` }
  const count = `${others.length} ${others.length === 1 ? 'file' : 'files'}`
  return {
    message: `${what} ${verb} no files of this format, but ${count} of other extensions: ${countExtensions(others)}`,
    hint: 'state `source.format`, and name the files with a glob that ends in their extension',
  }
}

async function noSuchFile(file: string, asWritten: string): Promise<Missing> {
  // The folder that is missing first is the one the user mistyped.
  let [name, folder] = [basename(file), dirname(file)]
  while (folder !== dirname(folder) && !(await statFile(folder))?.isDirectory()) {
    ;[name, folder] = [basename(folder), dirname(folder)]
  }
  const siblings = await readdir(folder).catch(() => [])
  const near = nearest(name, siblings)
  const message = `there is no '${asWritten}': no '${name}' in ${folder}`
  return near === undefined ? { message } : { message, hint: `did you mean '${near}'?` }
}

async function inputFiles(folder: string, paths: readonly string[], search: Search): Promise<InputFile[]> {
  const files = paths.map((path) => join(folder, path))
  const stats = await statFiles(files)
  return files.map((file, i) => inputFile(file, stats[i], search))
}

function inputFile(file: string, stats: BigIntStats | undefined, { baseFolder }: Search): InputFile {
  if (!stats?.isFile()) throw unreadable(file, stats !== undefined)
  return { path: relative(baseFolder, file), url: file, size: Number(stats.size), fingerprint: fingerprint(stats) }
}

function unreadable(file: string, exists: boolean): GristmillError {
  if (exists)
    return new GristmillError('GM_IO', `${file} is no regular file`, { hint: 'take it out of `source.paths`' })
  // Node decodes what is not UTF-8 to U+FFFD, and no file has that name.
  if (file.includes('\uFFFD')) {
    return new GristmillError('GM_IO', `the name of ${file} is not valid UTF-8, and rows are identified by it`, {
      hint: 'rename the file (the shell shows the bytes with `ls -b`)',
    })
  }
  return new GristmillError('GM_IO', `${file} is listed but cannot be found: a broken link, or it was just deleted`)
}
