/**
 * Bundles the user's pipeline module once, so that every worker loads the same code and its hash can be
 * part of the tasks' names.
 *
 * Imports of `gristmill` itself stay outside the bundle: the worker's copy must be the engine's own. The
 * hash is taken of a bundle where that import is a bare name, so that it does not depend on the folder.
 *
 * A bundle is loaded from a `data:` address and never from a file, which a killed process would leave behind.
 */
import path from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { GristmillError } from '../core/errors.js'
import { digestOf } from './identity.js'

/** The façade that `import … from 'gristmill'` means inside workers. */
const FACADE = pathToFileURL(path.join(path.dirname(fileURLToPath(import.meta.url)), '..', 'index.js')).href

/** CommonJS dependencies inside a bundle need `require`; the address is put in when the bundle is loaded. */
const REQUIRE = `import { createRequire as __gm } from 'node:module'; const require = __gm(import.meta.url);`

/** Makes each address another one, so that a module that is loaded again is evaluated again. */
let loads = 0

/** The bundled module as an address to import, with imports of `gristmill` resolved to this copy, and its hash. */
export async function bundleModule(module: string | undefined): Promise<{ url: string; hash: string }> {
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
      banner: { js: REQUIRE },
    })
    const code = result.outputFiles[0]!.text
    const resolved = code
      .replace(REQUIRE, () => REQUIRE.replace('import.meta.url', JSON.stringify(pathToFileURL(module).href)))
      .replaceAll(/(from\s*|import\s*\(?\s*)(["'])gristmill\2/gu, `$1$2${FACADE}$2`)
    // Stacks of the user's errors name this instead of the whole address.
    const named = `${resolved}\n//# sourceURL=${path.basename(module)}\n`
    return {
      url: `data:text/javascript;base64,${Buffer.from(named).toString('base64')}#${loads++}`,
      hash: digestOf(Buffer.from(code)),
    }
  } catch (cause) {
    throw new GristmillError('GM_USER_MODULE', `cannot bundle ${module}: ${(cause as Error).message}`, { cause })
  }
}
