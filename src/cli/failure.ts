/** How a failure looks: one shape for people, one for programs. */
import { GristmillError } from '../core/errors.js'
import type { RunEvent } from '../observe/metrics.js'
import type { Paint } from './paint.js'

/** Causes below the error that are worth a line each. */
const SHOWN_CAUSES = 3

export interface Failure {
  readonly code: string
  readonly message: string
  readonly hint: string
  readonly exitCode: number
  /** Messages of the causes that say more than the message. */
  readonly causes: readonly string[]
  /** Where a failure that nobody foresaw came from. */
  readonly stack: string | undefined
}

/** Reads an exception. What is not ours is a bug of ours. */
export function failureOf(error: unknown): Failure {
  if (error instanceof GristmillError) {
    const { code, message, hint, exitCode } = error
    return { code, message, hint, exitCode, causes: causesOf(error, message), stack: undefined }
  }
  const bug = new GristmillError('GM_INTERNAL', `this is a bug: ${messageOf(error)}`)
  const stack = error instanceof Error ? error.stack : undefined
  return { code: bug.code, message: bug.message, hint: bug.hint, exitCode: bug.exitCode, causes: [], stack }
}

/** `error GM_CODE: message`, causes, hint. */
export function renderFailure(failure: Failure, paint: Paint): string {
  const lines = [`${paint.bad(paint.bold(`error ${failure.code}`))}: ${failure.message}`]
  for (const cause of failure.causes) lines.push(paint.dim(`  cause: ${cause}`))
  if (failure.stack !== undefined) lines.push(paint.dim(failure.stack))
  lines.push(`${paint.accent('hint')}: ${failure.hint}`)
  return lines.join('\n')
}

export function failureEvent({ code, message, hint }: Failure): RunEvent {
  return { event: 'error', code, message, hint }
}

function causesOf(error: Error, message: string): string[] {
  const causes: string[] = []
  let said = message
  for (let cause = error.cause; cause instanceof Error && causes.length < SHOWN_CAUSES; cause = cause.cause) {
    const text = cause.message.trim()
    const fromNative = text.startsWith('{"') // the addon's form of the same message
    if (text === '' || fromNative || said.includes(text)) continue
    causes.push(text)
    said += text
  }
  return causes
}

function messageOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}
