/**
 * Ctrl-C and SIGTERM. The first asks the run to stop at the next safe point, the second ends the process at once:
 * commits are atomic, so both leave a directory that resumes.
 */
import { ERROR_CODES, GristmillError } from '../core/errors.js'

const SIGNALS = ['SIGINT', 'SIGTERM'] as const

export interface Interrupt extends Disposable {
  readonly signal: AbortSignal
}

/** Listens until disposed; `onStop` is called at the first signal. */
export function onInterrupt(onStop: () => void): Interrupt {
  const controller = new AbortController()
  const listener = (): void => {
    if (controller.signal.aborted) process.exit(ERROR_CODES.GM_INTERRUPTED.exit)
    onStop()
    controller.abort(new GristmillError('GM_INTERRUPTED', 'interrupted'))
  }
  for (const signal of SIGNALS) process.on(signal, listener)
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => {
      for (const signal of SIGNALS) process.off(signal, listener)
    },
  }
}

/** The command as one would type it again. */
export function commandLine(argv: readonly string[]): string {
  return ['gristmill', ...argv].map(quoted).join(' ')
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`
}
