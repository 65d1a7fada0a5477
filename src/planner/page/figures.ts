/** Numbers of plans as people read them; the terminal and the page write them alike. */
import { formatShortCount } from '../../core/units.js'
import type { Quantity } from '../types.js'

/** Three significant digits, thousands with a letter. */
export function figure(value: number): string {
  if (value === 0) return '0'
  if (!Number.isFinite(value)) return '∞'
  if (Math.abs(value) >= 1e4) return formatShortCount(value)
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return value.toFixed(Math.min(digits, 4))
}

/** `12.3 s (10.9 to 14.0)`. */
export function quantity({ p50, lo80, hi80 }: Quantity, unit: string): string {
  return `${figure(p50)}${unit === '' ? '' : ` ${unit}`} (${figure(lo80)} to ${figure(hi80)})`
}

export const percent = (share: number): string => `${(share * 100).toFixed(1)} %`

export const percentQuantity = ({ p50, lo80, hi80 }: Quantity): string =>
  `${percent(p50)} (${(lo80 * 100).toFixed(1)} to ${(hi80 * 100).toFixed(1)})`

export const gib = (value: number): string => `${value.toFixed(1)} GiB`

/** `80 %: 10.9 to 14.0 s`, the small print below a number. */
export const interval = ({ lo80, hi80 }: Quantity, unit: string): string =>
  `80 %: ${figure(lo80)} to ${figure(hi80)}${unit === '' ? '' : ` ${unit}`}`

const kindOf = (value: unknown): string => {
  if (typeof value !== 'object' || value === null) return String(value)
  const { kind, group, layers } = value as { kind: string; group?: number; layers?: number | null }
  const number = group ?? layers
  return number === undefined || number === null ? kind : `${kind}:${number}`
}

/** `tp 4, pp 2, dp 8, micro-batch 1, zero1`: of a layout, or of options; ranks of 1 go without saying. */
export function layoutText(of: object): string {
  const layout = of as Readonly<Record<string, unknown>>
  const ranks = ['tp', 'pp', 'vpp', 'dp', 'cp', 'ep']
    .filter((name) => layout[name] !== undefined && layout[name] !== 1)
    .map((name) => `${name} ${String(layout[name])}`)
  const { microBatch, sharding, recompute, schedule, pp } = layout
  const words = [
    typeof microBatch === 'number' ? `micro-batch ${microBatch}` : '',
    sharding === undefined || kindOf(sharding) === 'none' ? '' : kindOf(sharding),
    recompute === undefined || kindOf(recompute) === 'none' ? '' : `recompute ${kindOf(recompute)}`,
    pp !== undefined && pp !== 1 && typeof schedule === 'string' ? schedule : '',
  ]
  const all = [...ranks, ...words.filter((word) => word !== '')]
  return all.length === 0 ? 'one rank' : all.join(', ')
}
