/**
 * Asks a Python oracle: a script of `test/oracles`, run with the virtual environment at the repository root.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** What the script answers to `request`, both JSON. */
export function askOracle<T>(script: string, request: unknown): T {
  const python = `${root}.venv/bin/python`
  if (!existsSync(python)) throw new Error('there is no .venv at the repository root; run script/setup')
  const answer = execFileSync(python, [`${root}test/oracles/${script}`], {
    input: JSON.stringify(request),
    maxBuffer: 1 << 30,
  })
  return JSON.parse(answer.toString('utf8')) as T
}
