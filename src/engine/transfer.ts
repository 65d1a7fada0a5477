/**
 * Errors across threads: structured clone keeps neither class nor code, so both are carried by hand.
 */
import { GristmillError, isErrorCode } from '../core/errors.js'
import type { TransferredError } from './task.js'

export function packError(error: unknown): TransferredError {
  if (!(error instanceof Error))
    return { code: undefined, message: String(error), hint: undefined, stack: undefined, cause: undefined }
  const ours = error instanceof GristmillError ? error : undefined
  return {
    code: ours?.code,
    message: error.message,
    hint: ours?.hint,
    stack: error.stack,
    cause: error.cause === undefined ? undefined : packError(error.cause),
  }
}

export function unpackError(packed: TransferredError): Error {
  const cause = packed.cause === undefined ? undefined : unpackError(packed.cause as TransferredError)
  const error = isErrorCode(packed.code)
    ? new GristmillError(packed.code, packed.message, {
        cause,
        ...(packed.hint !== undefined && { hint: packed.hint }),
      })
    : new Error(packed.message, { cause })
  if (packed.stack !== undefined) error.stack = packed.stack
  return error
}
