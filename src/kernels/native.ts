/**
 * Loads the native addon and turns its failures into exceptions. The only importer of `native/`.
 *
 * Native errors arrive with a JSON message `{code, message, kernel}` (crates/node/src/guard.rs).
 */
import * as addon from '../../native/index.js'
import { GristmillError, isErrorCode } from '../core/errors.js'

export { addon }

/** Runs a call into the addon; its error comes back as a `GristmillError`. */
export function native<T>(call: () => T): T {
  try {
    return call()
  } catch (error) {
    throw fromNative(error)
  }
}

/** A native failure as a `GristmillError`; anything else unchanged. */
export function fromNative(error: unknown): unknown {
  if (!(error instanceof Error) || !error.message.startsWith('{"')) return error
  try {
    const { code, message } = JSON.parse(error.message) as { code?: unknown; message?: unknown }
    if (isErrorCode(code) && typeof message === 'string') {
      return new GristmillError(code, message, { cause: error })
    }
  } catch {
    // Not ours: a message that merely looks like JSON.
  }
  return error
}
