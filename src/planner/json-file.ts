/** JSON files that requests name. Paths are relative to the caller's folder or to the batch file. */
import { readFileSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { PlanRefusal } from './refusal.js'

export interface NamedJson {
  /** The file's name, or `place` for content given as an object. */
  readonly name: string
  readonly json: unknown
}

/** Content of a file, or the object itself; `option` names the option in refusals. */
export function readJson(source: string | object, option: string, folder: string): NamedJson {
  if (typeof source === 'object') return { name: option, json: source }
  let text: string
  try {
    text = readFileSync(resolve(folder, source), 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new PlanRefusal(`${option}: cannot read '${source}' (${code ?? 'unknown error'})`, [
      'paths are relative to the current folder, in batch files to the file',
    ])
  }
  try {
    return { name: basename(source), json: JSON.parse(text) as unknown }
  } catch (error) {
    throw new PlanRefusal(`${option}: '${source}' is not JSON: ${(error as Error).message}`)
  }
}
