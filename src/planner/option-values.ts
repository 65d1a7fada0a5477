/**
 * Readers of single option values. A value comes from a flag (text) or from a batch file or program (JSON), so each
 * reader takes both forms. A reader throws a plain sentence, which `options.ts` completes with the option's name.
 */
import { nearest } from '../core/errors.js'

/** What is wrong with a value, in words that follow the option's name. */
export class ValueFault extends Error {}

export type Reader<T> = (value: unknown) => T

const shown = (value: unknown): string => `'${typeof value === 'string' ? value : JSON.stringify(value)}'`

function numberIn(value: unknown): number {
  if (typeof value === 'number') return value
  return typeof value === 'string' && /^\s*[+-]?\d+(?:_?\d)*(?:\.\d+)?(?:e[+-]?\d+)?\s*$/iu.test(value)
    ? Number(value.replaceAll('_', ''))
    : Number.NaN
}

/** A whole number of at least `least`. */
export const count =
  (least = 1): Reader<number> =>
  (value) => {
    const number = numberIn(value)
    if (Number.isSafeInteger(number) && number >= least) return number
    throw new ValueFault(`${shown(value)} is not a whole number of ${least} or more`)
  }

/** A number above 0; `most` bounds it from above. */
export const amount =
  (most = Infinity): Reader<number> =>
  (value) => {
    const number = numberIn(value)
    if (Number.isFinite(number) && number > 0 && number <= most) return number
    throw new ValueFault(`${shown(value)} is not a number above 0${most === Infinity ? '' : ` and up to ${most}`}`)
  }

export const text: Reader<string> = (value) => {
  if (typeof value === 'string' && value.trim() !== '') return value.trim()
  throw new ValueFault(`${shown(value)} is not a text`)
}

/** A path, or in programs the parsed content. */
export const fileOrObject: Reader<string | object> = (value) =>
  typeof value === 'object' && value !== null ? value : text(value)

export const choice =
  <const T extends string>(choices: readonly T[]): Reader<T> =>
  (value) => {
    const found = choices.find((one) => typeof value === 'string' && one === value.trim().toLowerCase())
    if (found !== undefined) return found
    const near = nearest(String(value), choices)
    throw new ValueFault(
      `${shown(value)} is none of ${choices.join(', ')}${near === undefined ? '' : `; did you mean ${near}?`}`,
    )
  }

/** `on` and `off`, or true and false. */
export const onOff: Reader<boolean> = (value) => {
  if (typeof value === 'boolean') return value
  if (value === 'on' || value === 'true') return true
  if (value === 'off' || value === 'false') return false
  throw new ValueFault(`${shown(value)} is neither on nor off`)
}

/** `a,b`, a list, or `none` for the empty one. */
export const listOf =
  <T>(item: Reader<T>): Reader<readonly T[]> =>
  (value) => {
    if (value === 'none' || value === '') return []
    const items = Array.isArray(value) ? (value as unknown[]) : String(value).split(',')
    return items.map((one) => item(typeof one === 'string' ? one.trim() : one))
  }

/** `key=value,key=value`, or an object, as an object of texts and numbers. */
export const pairs: Reader<Readonly<Record<string, unknown>>> = (value) => {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  const entries = text(value)
    .split(',')
    .filter((part) => part.trim() !== '')
    .map((part) => {
      const at = part.indexOf('=')
      if (at < 1) throw new ValueFault(`'${part}' is not key=value`)
      return [part.slice(0, at).trim(), part.slice(at + 1).trim()] as const
    })
  return Object.fromEntries(entries)
}
