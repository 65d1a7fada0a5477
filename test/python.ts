/**
 * Runs the Python oracles in the repository's own environment, which script/setup makes.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const PYTHON = fileURLToPath(new URL('../.venv/bin/python', import.meta.url))

/** What `test/oracles/SCRIPT` prints, parsed as JSON. Missing Python fails the test: an oracle is never skipped. */
export function oracle(script: string, args: readonly string[], input?: string): unknown {
  if (!existsSync(PYTHON)) throw new Error(`${PYTHON} is missing; run script/setup`)
  const path = fileURLToPath(new URL(`oracles/${script}`, import.meta.url))
  const options = { encoding: 'utf8', maxBuffer: 2 ** 30, env: { PYTHONUTF8: '1' }, input } as const
  return JSON.parse(execFileSync(PYTHON, [path, ...args], options))
}
