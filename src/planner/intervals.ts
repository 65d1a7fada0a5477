/**
 * The 80 % intervals of time and of everything that follows from it.
 *
 * Widths are what leaving tables out of the fit showed (docs/planner-accuracy.md), by how far a request is from what
 * was measured. Ratios of a step's time are lognormal enough that the interval is symmetric in logarithms.
 */
import { architectureOf } from './time/machine.js'
import type { Calibration } from './time/calibration.js'
import type { Quantity, TimeParts, TrainRequest } from './types.js'

export type IntervalClass = keyof Calibration['interval']

/** Generations of hardware some table measured. */
const MEASURED = new Set(['ampere', 'hopper', 'blackwell', 'blackwell-ultra'])
/** Attention's share of a step from which on it is long context. */
const LONG_CONTEXT = 0.35

export function intervalClass(request: TrainRequest, parts: TimeParts): IntervalClass {
  if (!MEASURED.has(architectureOf(request.cluster.gpu))) return 'unseen'
  if (request.model.kinds.some(({ mlp }) => mlp.kind === 'experts')) return 'experts'
  const total = Object.values(parts).reduce((sum, part: number) => sum + part, 0)
  if (parts.attention > LONG_CONTEXT * total) return 'longContext'
  return 'dense'
}

export function timeQuantity(p50: number, halfWidth: number): Quantity {
  return { p50, lo80: p50 * Math.exp(-halfWidth), hi80: p50 * Math.exp(halfWidth) }
}

/** A quantity that falls as the step gets longer. */
export function rateQuantity(amount: number, step: Quantity): Quantity {
  return { p50: amount / step.p50, lo80: amount / step.hi80, hi80: amount / step.lo80 }
}
