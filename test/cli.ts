/** Runs the command line as a user does: the built `bin/gristmill.js` in a process of its own. */
import { spawn, type ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { testFolder } from './folder.js'

export const BIN = join(import.meta.dirname, '../bin/gristmill.js')

export interface CommandResult {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface CommandOptions {
  readonly cwd?: string
  readonly env?: Readonly<Record<string, string>>
  /** Called when the process has started and whenever it writes. */
  onOutput?(child: ChildProcess, stdout: string, stderr: string): void
}

export function gristmill(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const { NO_COLOR: _n, FORCE_COLOR: _f, ...env } = process.env
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd: options.cwd,
    env: { ...env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk
    options.onOutput?.(child, stdout, stderr)
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk
    options.onOutput?.(child, stdout, stderr)
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (exitCode) => resolve({ exitCode, stdout, stderr }))
  })
}

/** An empty folder. */
export function temporaryFolder(): string {
  return testFolder('cli')
}
