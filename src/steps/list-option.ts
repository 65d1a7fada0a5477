/**
 * Options that are lists of the user's, in a file or written out: `bad-words.ts` and `url-filter.ts` take them.
 *
 * The kernel reads the files (crates/kernels/src/quality/lists.rs); here they are looked up.
 */
import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'
import { GristmillError } from '../core/errors.js'
import type { PrepareContext } from './step.js'

/** A list for the kernel: a file, or the entries. */
export type KernelList = { readonly path: string; readonly name: string } | readonly string[]

/** A file with an entry a line, or the entries. */
export const listOption = z.union([z.string().min(1), z.array(z.string().trim().min(1)).min(1)])

export type ListOption = z.infer<typeof listOption>

/** The list, with its file looked up; an error when there is none. */
export function kernelList(list: ListOption, option: string, { baseFolder, place }: PrepareContext): KernelList {
  if (typeof list !== 'string') return list
  const path = resolve(baseFolder, list)
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) {
    throw new GristmillError('GM_CONFIG', `${place}.${option}: there is no file ${list}`, {
      hint: 'the path is relative to the pipeline file; entries themselves are written as a list',
    })
  }
  return { path, name: list }
}
