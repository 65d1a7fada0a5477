/**
 * Attributes of local files, one or thousands.
 */
import { statSync, type BigIntStats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { mapConcurrent } from '../core/concurrent.js'
import { ioError } from '../core/errors.js'

/** Files looked at in one go before the event loop gets its turn. */
const SLICE = 128

/**
 * Above this a call to stat waits for a disk or a network, and is better made beside others. Where the
 * attributes are cached it takes 5 µs, and going through libuv's threads costs four times as much.
 */
const SLOW_MICROSECONDS = 100

/** Calls to stat under way at once; libuv runs four of them, the rest hide the way through JavaScript. */
const CONCURRENT_STATS = 64

/** The file's attributes (links followed), undefined when there is no such file. */
export async function statFile(file: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(file, { bigint: true })
  } catch (error) {
    return absent(file, error)
  }
}

/** The attributes of many files, in their order. */
export async function statFiles(files: readonly string[]): Promise<(BigIntStats | undefined)[]> {
  const found: (BigIntStats | undefined)[] = []
  while (found.length < files.length) {
    const slice = files.slice(found.length, found.length + SLICE)
    const start = performance.now()
    for (const file of slice) found.push(statNow(file))
    if (((performance.now() - start) * 1000) / slice.length > SLOW_MICROSECONDS) break
    await setImmediate()
  }
  return [...found, ...(await mapConcurrent(files.slice(found.length), CONCURRENT_STATS, statFile))]
}

function statNow(file: string): BigIntStats | undefined {
  try {
    return statSync(file, { bigint: true })
  } catch (error) {
    return absent(file, error)
  }
}

function absent(file: string, error: unknown): undefined {
  const { code } = error as NodeJS.ErrnoException
  // ELOOP: a link that leads to itself leads to no file.
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return undefined
  throw ioError(`look at ${file}`, error)
}

/** Changes when the content does, as far as the file system tells: size and modification time. */
export function fingerprint(stats: BigIntStats): string {
  return `${stats.size}-${stats.mtimeNs}`
}
