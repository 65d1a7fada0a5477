/**
 * Predicted against measured, row by row and table by table: `gristmill plan score`.
 *
 * Which constants the prediction used is not decided here: rows say whether their table was among those fitted.
 * Leaving tables out of the fit is `accuracy.ts`.
 */
import { planLine, type PlanSettings } from '../plan.js'
import type { Quantity, ScoreLine, ScoreRow, ScoreSummary, ServePlan, TrainPlan } from '../types.js'

export interface TableScore extends ScoreSummary {
  readonly table: string
  readonly field: string
}

export interface Score {
  readonly rows: readonly ScoreRow[]
  readonly tables: readonly TableScore[]
  /** Lines without a prediction, and why. */
  readonly unplanned: readonly { readonly id: string; readonly reason: string }[]
}

export function scoreLines(lines: readonly ScoreLine[], settings: PlanSettings = {}): Score {
  const rows: (ScoreRow & { readonly table: string })[] = []
  const unplanned: { id: string; reason: string }[] = []
  for (const line of lines) {
    const plan = planLine({ kind: line.kind, request: line.request, id: line.id }, settings)
    if (plan.status === 'refused') {
      unplanned.push({ id: line.id, reason: plan.reason ?? 'refused' })
      continue
    }
    for (const [field, value] of Object.entries(line.measured)) {
      const predicted = quantityAt(plan, field)
      if (predicted === null) unplanned.push({ id: line.id, reason: `a plan has no number at ${field}` })
      else rows.push({ table: line.table, ...scored(line, field, predicted, asShare(field, value), plan) })
    }
    if (line.fits !== undefined) rows.push({ table: line.table, ...fitScored(line, plan) })
  }
  const named = rows.map(({ table: _table, ...row }) => row)
  return { rows: named, tables: summaries(rows), unplanned }
}

function scored(
  { id, table }: ScoreLine,
  field: string,
  predicted: Quantity,
  measured: number,
  plan: TrainPlan | ServePlan,
): ScoreRow {
  return {
    id,
    field,
    predicted,
    measured,
    error: (predicted.p50 - measured) / measured,
    inside: predicted.lo80 <= measured && measured <= predicted.hi80,
    fitted: plan.fittedOn?.includes(table) ?? false,
  }
}

/** Right counts as no error, wrong as one. */
function fitScored({ id, table, fits }: ScoreLine, plan: TrainPlan | ServePlan): ScoreRow {
  const predicted = plan.memory?.fits === true ? 1 : 0
  const measured = fits === true ? 1 : 0
  return {
    id,
    field: 'fits',
    predicted: { p50: predicted, lo80: predicted, hi80: predicted },
    measured,
    error: predicted - measured,
    inside: predicted === measured,
    fitted: plan.fittedOn?.includes(table) ?? false,
  }
}

/** Utilisation is a share; tables that print per cent are read as such, since none reaches 150 %. */
function asShare(field: string, value: number): number {
  return /\.(mfu|hfu)$/u.test(field) && value > 1.5 ? value / 100 : value
}

/** The quantity at a path such as `time.stepS`; a plain number has no interval. */
export function quantityAt(plan: TrainPlan | ServePlan, field: string): Quantity | null {
  let at: unknown = plan
  for (const key of field.split('.')) {
    if (typeof at !== 'object' || at === null) return null
    at = (at as Record<string, unknown>)[key]
  }
  if (typeof at === 'number') return { p50: at, lo80: at, hi80: at }
  return typeof at === 'object' && at !== null && 'p50' in at ? (at as Quantity) : null
}

function summaries(rows: readonly (ScoreRow & { readonly table: string })[]): TableScore[] {
  const groups = new Map<string, (ScoreRow & { readonly table: string })[]>()
  for (const row of rows) {
    const key = `${row.table}\n${row.field}`
    groups.set(key, [...(groups.get(key) ?? []), row])
  }
  return [...groups.values()].map((group) => {
    const { table, field } = group[0]!
    const errors = group.map(({ error }) => error)
    return { table, field, ...summary(errors, group.filter(({ inside }) => inside).length) }
  })
}

/** Of signed relative errors. */
export function summary(errors: readonly number[], inside: number): ScoreSummary {
  const sizes = errors.map(Math.abs)
  return {
    n: errors.length,
    median: quantile(sizes, 0.5),
    p90: quantile(sizes, 0.9),
    worst: Math.max(...sizes),
    signed: quantile(errors, 0.5),
    coverage: inside / errors.length,
  }
}

/** Linear between the two nearest values, as numpy's default. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = share * (sorted.length - 1)
  const low = sorted[Math.floor(at)]!
  return low + (sorted[Math.ceil(at)]! - low) * (at - Math.floor(at))
}
