/**
 * Finds the tokenizer a run was made with. A manifest names it relative to the configuration and never says where
 * that was, so the places it is likely to be are looked at; its checksum tells whether it is the one.
 */
import { existsSync } from 'node:fs'
import { dirname, isAbsolute, join, resolve } from 'node:path'
import { GristmillError } from '../core/errors.js'
import type { Manifest } from '../engine/manifest.js'
import { Tokenizer, type TokenizerLoadOptions } from '../kernels/tokenizer.js'

/** The run's tokenizer; undefined when the run did not tokenise. `given` is `--tokenizer`. */
export function findTokenizer(manifest: Manifest, run: string, given: string | undefined): Tokenizer | undefined {
  const { tokenizer: wanted } = manifest
  if (wanted === undefined) return given === undefined ? undefined : Tokenizer.load(given)
  const candidates = given === undefined ? likelyPaths(wanted.path, run) : [given]
  const options = loadOptions(manifest)
  const found = candidates.filter((path) => existsSync(path))
  for (const path of found) {
    const tokenizer = Tokenizer.load(path, options)
    if (tokenizer.contentHash === wanted.checksum) return tokenizer
    tokenizer[Symbol.dispose]()
  }
  throw new GristmillError(
    'GM_TOKENIZER',
    found.length > 0
      ? `${found[0]} is not the file this run was tokenised with (its checksum differs)`
      : `the tokenizer of this run, ${wanted.path}, is not at hand`,
    { hint: 'pass it with --tokenizer FILE' },
  )
}

/** Beside the shell's folder, beside the run, and above it. */
function likelyPaths(path: string, run: string): string[] {
  if (isAbsolute(path)) return [path]
  const folders = [process.cwd()]
  if (!/^[a-z0-9]+:\/\//i.test(run)) {
    for (let folder = resolve(run); folder !== dirname(folder); folder = dirname(folder)) folders.push(folder)
  }
  return [...new Set(folders)].map((folder) => join(folder, path))
}

/** What a rank file needs besides its bytes, from the step that used it. */
function loadOptions({ configuration }: Manifest): TokenizerLoadOptions {
  const steps = (configuration as { steps?: unknown } | null)?.steps
  if (!Array.isArray(steps)) return {}
  const step = (steps as { name?: unknown; config?: unknown }[]).findLast(({ name }) => name === 'tokenize')
  const { encoding, pattern, specialTokens } = (step?.config ?? {}) as TokenizerLoadOptions
  return {
    ...(encoding !== undefined && { encoding }),
    ...(pattern !== undefined && { pattern }),
    ...(specialTokens !== undefined && { specialTokens }),
  }
}
