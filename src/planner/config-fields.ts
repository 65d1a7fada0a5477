/**
 * Reads single keys of a Hugging Face `config.json`, and refuses by the key's name. What the keys mean for each
 * architecture is `config-families.ts`.
 */
import { PlanRefusal } from './refusal.js'

/** The keys of one config. Several names for one key are tried in order. */
export interface ConfigFields {
  readonly raw: Readonly<Record<string, unknown>>
  /** A positive whole number that must be there, unless the family has a default for it. */
  count(names: string | readonly string[], fallback?: number): number
  /** The same, `null` when absent or null. */
  optionalCount(names: string | readonly string[]): number | null
  number(name: string, fallback: number): number
  flag(name: string, fallback: boolean): boolean
  text(name: string, fallback: string): string
  list(name: string): readonly unknown[] | null
}

export function configFields(raw: Readonly<Record<string, unknown>>, place: string): ConfigFields {
  const first = (names: string | readonly string[]): [name: string, value: unknown] => {
    const all = typeof names === 'string' ? [names] : names
    const name = all.find((candidate) => raw[candidate] !== undefined && raw[candidate] !== null)
    return [name ?? all[0]!, name === undefined ? undefined : raw[name]]
  }
  const wrong = (name: string, value: unknown, wanted: string): PlanRefusal =>
    new PlanRefusal(`${place}: '${name}' is ${JSON.stringify(value)}, expected ${wanted}`, [
      `set '${name}' in ${place}`,
    ])
  const optionalCount = (names: string | readonly string[]): number | null => {
    const [name, value] = first(names)
    if (value === undefined) return null
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
      throw wrong(name, value, 'a whole number')
    }
    return value
  }
  return {
    raw,
    optionalCount,
    count(names, fallback) {
      const value = optionalCount(names) ?? fallback
      const [name] = first(names)
      if (value === undefined) {
        throw new PlanRefusal(`${place} has no '${name}'`, [
          `add '${name}' to ${place}`,
          'or describe the model with --shape layers=,hidden=,heads=,vocab=',
        ])
      }
      if (value === 0) throw wrong(name, value, 'at least 1')
      return value
    },
    number(name, fallback) {
      const value = raw[name] ?? fallback
      if (typeof value !== 'number') throw wrong(name, value, 'a number')
      return value
    },
    flag(name, fallback) {
      const value = raw[name] ?? fallback
      if (typeof value !== 'boolean') throw wrong(name, value, 'true or false')
      return value
    },
    text(name, fallback) {
      const value = raw[name] ?? fallback
      if (typeof value !== 'string') throw wrong(name, value, 'a text')
      return value
    },
    list(name) {
      const value = raw[name]
      if (value === undefined || value === null) return null
      if (!Array.isArray(value)) throw wrong(name, value, 'a list')
      return value as readonly unknown[]
    },
  }
}
