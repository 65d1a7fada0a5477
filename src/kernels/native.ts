/**
 * Loads the native addon and turns its failures into exceptions. The only importer of `native/`.
 *
 * Native errors arrive with a JSON message `{code, message, kernel}` (crates/node/src/guard.rs).
 */
import * as addon from '../../native/index.js'
import { GristmillError, isErrorCode } from '../core/errors.js'

export { addon }

/** Runs a call into the addon; its error comes back as a `GristmillError`, as from `fromNative`. */
export function native<T>(call: () => T, optionsHint?: string): T {
  try {
    return call()
  } catch (error) {
    throw fromNative(error, optionsHint)
  }
}

/**
 * A native failure as a `GristmillError`; anything else unchanged. `optionsHint` says what to do about an option that
 * does not fit, where the options are not those of a pipeline.
 */
export function fromNative(error: unknown, optionsHint?: string): unknown {
  if (!(error instanceof Error) || !error.message.startsWith('{"')) return error
  try {
    const { code, message } = JSON.parse(error.message) as { code?: unknown; message?: unknown }
    if (isErrorCode(code) && typeof message === 'string') {
      const hint = code === 'GM_CONFIG' && optionsHint !== undefined && { hint: optionsHint }
      return new GristmillError(code, message, { cause: error, ...hint })
    }
  } catch {
    // Not ours: a message that merely looks like JSON.
  }
  return error
}
