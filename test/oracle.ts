/**
 * Asks the Python oracles: scripts of `test/oracles`, run in the repository's own environment, which script/setup makes.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The environment's interpreter. */
export const PYTHON = fileURLToPath(new URL('../.venv/bin/python', import.meta.url))

/** What the script answers to `request`, both JSON. */
export function askOracle<T>(script: string, request: unknown): T {
  return oracle(script, [], JSON.stringify(request))
}

/** What the script prints, parsed as JSON. Missing Python fails the test: an oracle is never skipped. */
export function oracle<T>(script: string, args: readonly string[], input?: string): T {
  if (!existsSync(PYTHON)) throw new Error(`${PYTHON} is missing; run script/setup --dev`)
  const path = fileURLToPath(new URL(`oracles/${script}`, import.meta.url))
  const env = { ...process.env, PYTHONUTF8: '1' }
  return JSON.parse(execFileSync(PYTHON, [path, ...args], { encoding: 'utf8', maxBuffer: 2 ** 30, env, input })) as T
}
