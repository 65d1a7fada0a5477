/**
 * Recipes: pipeline files that come with the package, called `recipe:NAME`. They say what is done; what is read
 * is the user's: `--set source.paths=…`, relative to the current folder.
 */
import { readdir, readFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { GristmillError, ioError, nearest } from '../core/errors.js'

/** What the name of a recipe starts with where a file is expected. */
export const RECIPE = 'recipe:'

/** `recipes/` at the root of the package. */
const FOLDER = fileURLToPath(new URL('../../recipes', import.meta.url))

/** Names of the recipes, sorted. */
export async function recipeNames(folder = FOLDER): Promise<string[]> {
  try {
    const files = await readdir(folder)
    return files.flatMap((file) => /^(.+)\.yaml$/u.exec(file)?.[1] ?? []).toSorted()
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw ioError(`list the recipes in ${folder}`, cause)
  }
}

/** The text of a recipe. */
export async function readRecipe(name: string, folder = FOLDER): Promise<string> {
  const names = await recipeNames(folder)
  // Only a listed name is opened, so that no name leads out of the folder.
  if (names.includes(name)) return readFile(path.join(folder, `${name}.yaml`), 'utf8')
  const near = nearest(name, names)
  const known = names.length === 0 ? 'this version has none' : `the recipes are ${names.join(', ')}`
  throw new GristmillError('GM_CONFIG', `there is no recipe '${name}': ${known}`, {
    hint:
      near === undefined
        ? 'as in gristmill run recipe:NAME --set source.paths=data --out runs/a'
        : `did you mean recipe:${near}?`,
  })
}
