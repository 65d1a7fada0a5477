/**
 * Finds the constants of the time model from tables of measured steps, and judges them by leaving tables out.
 *
 * A fit minimises the mean, over sources, of each source's robust log error, so a long table weighs no more than a
 * short one, plus a penalty for leaving the priors: what a constant was expected to be before any table was seen,
 * and how far the truth may lie from it. With few tables the constants stay near the priors.
 */
import { shippedData } from '../shipped-data.js'
import type { Calibration } from '../time/calibration.js'

/** A measured step and a function that predicts it under given constants. */
export interface FitRow {
  /** Rows of one source are never split between fitting and judging. */
  readonly source: string
  readonly measuredS: number
  readonly predictS: (calibration: Calibration) => number
}

/** A constant a fit may move. */
export interface FreeConstant {
  readonly path: readonly string[]
  readonly prior: number
  /** Standard deviation of the prior, in natural logarithms. */
  readonly spread: number
  readonly because: string
}

/** All that is fitted, from `data/priors.json`. */
export const FREE_CONSTANTS: readonly FreeConstant[] = (
  shippedData('priors.json') as readonly (Omit<FreeConstant, 'path'> & { readonly constant: string })[]
).map(({ constant, ...prior }) => ({ path: constant.split('/'), ...prior }))

/** Log errors beyond this count linearly: a strange row must not bend the fit. */
const HUBER = 0.1
/** Weight of the priors against the rows. */
const PRIOR_WEIGHT = 0.0015

export function fit(rows: readonly FitRow[], start: Calibration): Calibration {
  let best = withPriors(start)
  let cost = costOf(rows, best)
  for (const step of [0.08, 0.03, 0.01]) {
    for (let round = 0; round < 6; round += 1) {
      const before = cost
      for (const free of FREE_CONSTANTS) {
        for (const factor of [1 + step, 1 / (1 + step)]) {
          const value = Math.min(get(best, free.path) * factor, ceiling(free))
          const candidate = set(best, free.path, value)
          const candidateCost = costOf(rows, candidate)
          if (candidateCost < cost) [best, cost] = [candidate, candidateCost]
        }
      }
      if (before - cost < 1e-6) break
    }
  }
  return tidy(best)
}

/** Shares cannot exceed one. */
function ceiling({ path }: FreeConstant): number {
  const isShare =
    path[0] === 'shares' || path[0] === 'linkShare' || path[0]?.endsWith('Share') || path.at(-1) === 'gather'
  return isShare ? 0.97 : Number.POSITIVE_INFINITY
}

/** The framework nobody named is the mean of those that were fitted. */
function tidy(calibration: Calibration): Calibration {
  const fitted = ['megatron', 'fsdp', 'nanotron'] as const
  const mean = fitted.reduce((sum, name) => sum + calibration.framework[name].stretch, 0) / fitted.length
  return set(calibration, ['framework', 'neutral', 'stretch'], mean)
}

function withPriors(start: Calibration): Calibration {
  return FREE_CONSTANTS.reduce((calibration, { path, prior }) => set(calibration, path, prior), start)
}

export function costOf(rows: readonly FitRow[], calibration: Calibration): number {
  const sources = new Map<string, { sum: number; count: number }>()
  for (const row of rows) {
    const error = Math.log(row.predictS(calibration) / row.measuredS)
    const size = Math.abs(error)
    const loss = size < HUBER ? error * error : HUBER * (2 * size - HUBER)
    const source = sources.get(row.source) ?? { sum: 0, count: 0 }
    sources.set(row.source, { sum: source.sum + loss, count: source.count + 1 })
  }
  let cost = 0
  for (const { sum, count } of sources.values()) cost += sum / count
  let penalty = 0
  for (const { path, prior, spread } of FREE_CONSTANTS) {
    penalty += (Math.log(get(calibration, path) / prior) / spread) ** 2
  }
  return cost / Math.max(1, sources.size) + (PRIOR_WEIGHT / Math.max(1, sources.size)) * penalty
}

/** For each source the constants fitted on all others. */
export function leaveOneOut(rows: readonly FitRow[], start: Calibration): Map<string, Calibration> {
  const sources = [...new Set(rows.map((row) => row.source))]
  return new Map(
    sources.map((source) => [
      source,
      fit(
        rows.filter((row) => row.source !== source),
        start,
      ),
    ]),
  )
}

type Tree = { readonly [key: string]: Tree | number }

function get(calibration: Calibration, path: readonly string[]): number {
  let at: Tree | number = calibration as unknown as Tree
  for (const key of path) at = (at as Tree)[key]!
  return at as number
}

function set(calibration: Calibration, path: readonly string[], value: number): Calibration {
  const put = (tree: Tree, at: number): Tree => {
    const key = path[at]!
    return { ...tree, [key]: at === path.length - 1 ? value : put(tree[key] as Tree, at + 1) }
  }
  return put(calibration as unknown as Tree, 0) as unknown as Calibration
}
