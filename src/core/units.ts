/**
 * Sizes, counts and durations as people write and read them. MB is 10⁶ bytes, MiB 2²⁰; formatting does not
 * depend on the locale.
 */
import { GristmillError } from './errors.js'

const BYTE_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
}

/**
 * Bytes of `4GiB`, `512 MB`, `1.5GiB`, `1048576`, or of `50%` of `whole`.
 *
 * `place` names the option in the error, as in `--memory`.
 */
export function parseBytes(text: string, place: string, whole?: number): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*|%)\s*$/i.exec(text)
  const amount = Number(match?.[1])
  const unit = match?.[2]?.toLowerCase()
  const percent = unit === '%' && whole !== undefined
  const factor = percent ? whole / 100 : unit === undefined ? undefined : BYTE_UNITS[unit]
  const tooMuch = percent && amount > 100
  if (factor === undefined || !(amount > 0) || tooMuch) {
    throw new GristmillError('GM_USAGE', `${place}: '${text}' is no size`, {
      hint: `write a number with a unit, as in 4GiB, 512MiB or 2GB${whole === undefined ? '' : ', or a share, as in 50%'}`,
    })
  }
  return Math.floor(amount * factor)
}

/** `1,234,567`. */
export function formatCount(count: number): string {
  return groupThousands(String(Math.round(count)))
}

/** `1.23 MB`, three significant digits; bytes below 1,000 in full. */
export function formatBytes(bytes: number): string {
  return scaled(bytes, 1000, ['B', 'kB', 'MB', 'GB', 'TB', 'PB'])
}

/** `4.00 GiB`; for budgets, which people give in powers of two. */
export function formatBinaryBytes(bytes: number): string {
  return scaled(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'])
}

/** `1.23 M`, for counts where the exact one does not fit. */
export function formatShortCount(count: number): string {
  return scaled(count, 1000, ['', 'K', 'M', 'B', 'T', 'Q']).trimEnd()
}

/** `42 s`, `3 min 05 s`, `2 h 07 min`; below ten seconds with one decimal. */
export function formatDuration(seconds: number): string {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const whole = Math.round(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad2(whole % 60)} s`
  const minutes = Math.round(whole / 60)
  return `${formatCount(Math.floor(minutes / 60))} h ${pad2(minutes % 60)} min`
}

/** `12.3 %` of a share between 0 and 1; what is not nothing or all never reads as 0 or 100. */
export function formatPercent(share: number, digits = 1): string {
  const smallest = 10 ** -digits
  const percent = share * 100
  if (percent > 0 && percent < smallest) return `< ${smallest} %`
  if (percent < 100 && percent > 100 - smallest) return `> ${(100 - smallest).toFixed(digits)} %`
  return `${percent.toFixed(digits)} %`
}

/** `84.1 MB/s`. */
export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(bytesPerSecond)}/s`
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let power = 0
  while (power < units.length - 1 && Math.abs(value) >= base * 0.9995) {
    value /= base
    power++
  }
  if (power === 0) return `${groupThousands(String(Math.round(value)))} ${units[0]}`
  const digits = Math.abs(value) >= 99.95 ? 0 : Math.abs(value) >= 9.995 ? 1 : 2
  return `${groupThousands(value.toFixed(digits))} ${units[power]}`
}

function groupThousands(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+(?!\d))(?<!\.\d*)/g, ',')
}

function pad2(value: number): string {
  return String(value).padStart(2, '0')
}
