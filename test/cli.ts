/** Runs the command line as a user does: the built `bin/gristmill.js` in a process of its own. */
import { join } from 'node:path'
import { command, type CommandOptions } from './command.js'
import { testFolder } from './folder.js'

export const BIN = join(import.meta.dirname, '../bin/gristmill.js')

export interface CommandResult {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The command with colours as the terminal has them, unlike `gristmill` of `command.ts`. */
export async function gristmill(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const env = { NO_COLOR: undefined, FORCE_COLOR: undefined, ...options.env }
  const { code, stdout, stderr } = await command([process.execPath, BIN, ...args], { ...options, env })
  return { exitCode: code, stdout, stderr }
}

/** An empty folder. */
export function temporaryFolder(): string {
  return testFolder('cli')
}
