/** Values of command-line flags, checked where they are given. */
import { machine } from '../core/machine.js'
import { GristmillError } from '../core/errors.js'
import { formatBinaryBytes, parseBytes } from '../core/units.js'
import type { ExplainOptions } from '../pipeline/run.js'

/** Flags of every command that plans a run. */
export interface PlanFlags {
  readonly workers?: number
  readonly memory?: string
  readonly set?: Readonly<Record<string, string>>
  readonly scratch?: string
}

/** Fewer bytes cannot hold one worker's batches. */
const LEAST_MEMORY_BYTES = 64 * 2 ** 20

export function parseWorkers(text: string): number {
  const workers = Number(text)
  if (/^\d+$/.test(text) && workers >= 1 && workers <= 1024) return workers
  throw new GristmillError('GM_USAGE', `--workers: '${text}' is not a number between 1 and 1024`, {
    hint: 'leave it out to use every core that is granted',
  })
}

export function parseCount(flag: string): (text: string) => number {
  return (text) => {
    if (/^\d{1,9}$/.test(text) && Number(text) > 0) return Number(text)
    throw new GristmillError('GM_USAGE', `${flag}: '${text}' is not a whole number from 1 to 999999999`, {
      hint: `as in ${flag} 3`,
    })
  }
}

export function parseId(flag: string): (text: string) => number {
  return (text) => {
    if (/^\d{1,10}$/.test(text) && Number(text) < 2 ** 31) return Number(text)
    throw new GristmillError('GM_USAGE', `${flag}: '${text}' is not a token id`, { hint: `as in ${flag} 0` })
  }
}

export function parseSeed(text: string): number {
  const seed = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(seed)) return seed
  throw new GristmillError('GM_USAGE', `--seed: '${text}' is not a whole number from 0`, { hint: 'as in --seed 7' })
}

/** Bytes of `--prune`; 0 empties the cache. */
export function parsePrune(text: string): number {
  return text === '0' ? 0 : parseBytes(text, '--prune')
}

/** Collects `--set key.path=value`; a key given twice is a mistake, not an update. */
export function collectSet(
  text: string,
  before: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  const at = text.indexOf('=')
  const key = text.slice(0, Math.max(at, 0)).trim()
  if (key === '') {
    throw new GristmillError('GM_USAGE', `--set: '${text}' is not key.path=value`, {
      hint: 'as in --set steps.2.shuffle.seed=7 or --set source.maxBadShare=0.05',
    })
  }
  if (Object.hasOwn(before, key)) throw new GristmillError('GM_USAGE', `--set: '${key}' is given twice`)
  // No prototype: a key such as `__proto__` is a key like any other.
  return Object.assign(Object.create(null) as Record<string, string>, before, { [key]: text.slice(at + 1) })
}

/** Bytes of `--memory`; undefined when it was not given. */
export function memoryBytes(flags: PlanFlags): number | undefined {
  if (flags.memory === undefined) return undefined
  const bytes = parseBytes(flags.memory, '--memory', machine().memoryBytes)
  if (bytes >= LEAST_MEMORY_BYTES) return bytes
  throw new GristmillError('GM_USAGE', `--memory: ${formatBinaryBytes(bytes)} is less than any run needs`, {
    hint: 'a unit may be missing: write 4GiB or 512MiB',
  })
}

/** The resource flags as programs give them. */
export function resources(flags: PlanFlags & { readonly out?: string }): ExplainOptions {
  const bytes = memoryBytes(flags)
  return {
    ...(flags.out === undefined ? {} : { out: flags.out }),
    ...(flags.workers === undefined ? {} : { workers: flags.workers }),
    ...(bytes === undefined ? {} : { memoryBytes: bytes }),
    ...(flags.scratch === undefined ? {} : { scratch: flags.scratch }),
  }
}
