/**
 * Bundles the user's pipeline module once, so that every worker loads the same code and its hash can be
 * part of the tasks' names.
 *
 * Imports of `gristmill` itself stay outside the bundle: the worker's copy must be the engine's own. The
 * hash is taken of a bundle where that import is a bare name, so that it does not depend on the folder.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { GristmillError } from '../core/errors.js'
import { digestOf } from './identity.js'

/** The façade that `import … from 'gristmill'` means inside workers. */
const FACADE = pathToFileURL(path.join(path.dirname(fileURLToPath(import.meta.url)), '..', 'index.js')).href

/** The bundled module as text, with imports of `gristmill` resolved to this copy, and its hash. */
export async function bundleModule(module: string | undefined): Promise<{ code: string; hash: string }> {
  if (module === undefined) {
    throw new GristmillError(
      'GM_USER_MODULE',
      'the pipeline has functions, but the module that defines them is unknown',
      {
        hint: 'run it with `gristmill run FILE`, or pass { module: import.meta.url } to run()',
      },
    )
  }
  const { build } = await import('esbuild')
  try {
    const result = await build({
      entryPoints: [module],
      absWorkingDir: path.dirname(module),
      bundle: true,
      write: false,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      logLevel: 'silent',
      external: ['gristmill', 'gristmill/*'],
      // CommonJS dependencies inside the bundle need require and the module's own address.
      banner: { js: `import { createRequire as __gm } from 'node:module'; const require = __gm(import.meta.url);` },
    })
    const code = result.outputFiles[0]!.text
    return {
      code: code.replaceAll(/(from\s*|import\s*\(?\s*)(["'])gristmill\2/gu, `$1$2${FACADE}$2`),
      hash: digestOf(Buffer.from(code)),
    }
  } catch (cause) {
    throw new GristmillError('GM_USER_MODULE', `cannot bundle ${module}: ${(cause as Error).message}`, { cause })
  }
}

/** Writes the bundle beside nothing of the user's, for the workers to import; removed by the returned function. */
export async function writeBundle(code: string): Promise<{ file: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(path.join(tmpdir(), 'gristmill-module-'))
  const file = path.join(folder, 'pipeline.mjs')
  await writeFile(file, code)
  return { file, remove: () => rm(folder, { recursive: true, force: true }) }
}
