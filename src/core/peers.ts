/**
 * Optional packages, loaded on use: heavy parts that many users never touch.
 */
import { GristmillError } from './errors.js'

/** Imports an optional package; when it is missing the error names the command that installs it. */
export async function importPeer<T>(name: string): Promise<T> {
  try {
    return (await import(name)) as T
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code
    if (code !== 'ERR_MODULE_NOT_FOUND') throw cause
    throw new GristmillError('GM_PEER_MISSING', `this needs the optional package '${name}'`, {
      hint: `npm install ${name}`,
      cause,
    })
  }
}
