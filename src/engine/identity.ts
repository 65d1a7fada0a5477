/**
 * Names that derive from content: of tasks, of stages, of configurations.
 */
import { addon } from '../kernels/native.js'

/** JSON with sorted keys and without undefined, so that equal values have equal texts. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => {
    if (inner === null || typeof inner !== 'object' || Array.isArray(inner)) return inner
    return Object.fromEntries(Object.entries(inner).toSorted(([a], [b]) => (a < b ? -1 : 1)))
  })
}

/** XXH3-128 of the canonical JSON of a value, 32 hexadecimal digits. */
export function identityOf(value: unknown): string {
  return addon.digest(Buffer.from(canonicalJson(value)))
}

/** XXH3-128 of bytes, 32 hexadecimal digits. */
export function digestOf(bytes: Uint8Array): string {
  return addon.digest(bytes)
}
