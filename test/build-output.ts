/**
 * Brings `dist/` up to date before any test: workers, the command line and the package run the build output,
 * and a test of yesterday's build proves nothing. Type errors are shown but stop nothing here; `script/test`
 * counts them.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export default function buildOutput(): void {
  const root = fileURLToPath(new URL('..', import.meta.url))
  if (!existsSync(`${root}/native/index.js`)) throw new Error('the native addon is not built; run script/setup first')
  const { status, stdout } = spawnSync('node_modules/.bin/tsc', ['-b'], { cwd: root, encoding: 'utf8' })
  if (status !== 0) console.warn(`tsc -b found errors:\n${stdout}`)
}
