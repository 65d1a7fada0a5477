/**
 * Where output goes. Results are standard output, everything said meanwhile is standard error; with `--json`
 * standard output carries JSON lines and nothing else.
 */
import { type Paint, paintFor } from './paint.js'

export interface OutputFlags {
  readonly json?: boolean
  readonly quiet?: boolean
  readonly color?: boolean
}

export interface Console {
  readonly json: boolean
  readonly quiet: boolean
  /** Colours for `result`. */
  readonly paint: Paint
  /** Colours for `note`. */
  readonly notePaint: Paint
  /** Text that was asked for. With `--json` it is left out: the same facts go through `object`. */
  result(text: string): void
  /** One JSON object a line, with `--json` only. */
  object(value: object): void
  /** Text for the person who watches, on standard error; left out with `--quiet`. */
  note(text: string): void
}

export function createConsole(flags: OutputFlags): Console {
  const { json = false, quiet = false, color = true } = flags
  return {
    json,
    quiet,
    paint: paintFor(process.stdout, color),
    notePaint: paintFor(process.stderr, color),
    result: (text) => void (json || process.stdout.write(`${text}\n`)),
    object: (value) => void (json && process.stdout.write(`${JSON.stringify(value)}\n`)),
    note: (text) => void (quiet || process.stderr.write(`${text}\n`)),
  }
}

/**
 * Lets a closed pipe (`gristmill steps | head`) end the command instead of crashing it. A run goes on: its work is
 * not its output.
 */
export function surviveClosedPipes(endsWithItsOutput: boolean): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      if (endsWithItsOutput) process.exit(0)
    })
  }
}
