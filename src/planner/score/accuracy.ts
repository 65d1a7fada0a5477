/**
 * The scoreboard: each table predicted by constants that never saw it, beside the same with all tables fitted and
 * beside the two-constant roofline.
 *
 * Sources, not tables, are left out: two tables that describe the same runs go together.
 */
import { trainFlops } from '../flops.js'
import { type IntervalClass, intervalClass } from '../intervals.js'
import { readOptions } from '../options.js'
import { type Architecture, type Calibration, shippedCalibration } from '../time/calibration.js'
import { architectureOf, gemmFormat, peakOf } from '../time/machine.js'
import { stepTime } from '../time/step-time.js'
import { withPreset } from '../train-plan.js'
import { resolveTrain } from '../train-request.js'
import type { ScoreLine, ScoreSummary, TrainRequest } from '../types.js'
import { fit, type FitRow, leaveOneOut } from './fit.js'
import { measuredStep } from './measured-step.js'
import { fitRoofline, rooflineSeconds } from './roofline.js'
import { quantile, summary } from './score.js'

export interface StepRow extends FitRow {
  readonly id: string
  readonly table: string
  readonly request: TrainRequest
  readonly kind: 'dense' | 'long context' | 'experts' | 'slow'
  readonly architecture: Architecture
}

/** Tables that describe the same runs. */
const SAME_SOURCE: Readonly<Record<string, string>> = {
  ultrascale_playbook_interactive: 'nanotron',
  'nanotron_v0.5_best_configs': 'nanotron',
}

/** Dense runs below this share of the peak have a cause of their own: scored apart, never fitted. */
const SLOW = 0.15

export function stepRows(lines: readonly ScoreLine[], folder: string): StepRow[] {
  return lines.flatMap((line) => {
    if (line.kind !== 'train') return []
    const request = withPreset(resolveTrain(readOptions(line.request, 'train'), folder))
    const measuredS = measuredStep(request, line.measured)
    if (measuredS === null) return []
    return {
      id: line.id,
      table: line.table,
      source: SAME_SOURCE[line.table] ?? line.table,
      request,
      measuredS,
      kind: kindOf(request, measuredS),
      architecture: architectureOf(request.cluster.gpu),
      predictS: (calibration: Calibration) => stepTime(request, request.layout, calibration).stepS,
    }
  })
}

function kindOf(request: TrainRequest, measuredS: number): StepRow['kind'] {
  if (request.model.kinds.some(({ mlp }) => mlp.kind === 'experts')) return 'experts'
  const peak = peakOf(request.cluster.gpu, gemmFormat(request.numerics.precision)).tflops * 1e12
  if (trainFlops(request).modelPerStep / request.cluster.gpus / peak / measuredS < SLOW) return 'slow'
  return classOf(request, shippedCalibration()) === 'longContext' ? 'long context' : 'dense'
}

export interface TableAccuracy {
  readonly table: string
  readonly kind: StepRow['kind']
  /** The generation of the rows, where no other source has it; such rows are apart. */
  readonly alone: Architecture | null
  /** Errors of a step's seconds, by constants fitted without the table's source; null when none has the hardware. */
  readonly leftOut: ScoreSummary | null
  readonly fitted: ScoreSummary
  readonly roofline: ScoreSummary
}

export interface Accuracy {
  readonly tables: readonly TableAccuracy[]
  readonly calibration: Calibration
  /** Median of the dense tables' medians. */
  readonly dense: { readonly leftOut: number; readonly roofline: number }
  /** Repeated configurations of one table: share whose measurements differ by more than 15 %. */
  readonly noise: { readonly configurations: number; readonly differing: number }
}

/** Fits as often as there are sources, and once on all: a minute or two. */
export function accuracyOf(lines: readonly ScoreLine[], folder: string, start: Calibration): Accuracy {
  const rows = stepRows(lines, folder)
  const usable = rows.filter(({ kind }) => kind !== 'slow')
  const without = leaveOneOut(usable, start)
  const all = fit(usable, start)
  const errors = (row: StepRow): number => Math.log(row.predictS(without.get(row.source) ?? all) / row.measuredS)
  const interval = intervalsOf(usable, errors, all)
  const calibration = { ...all, interval, fittedOn: [...new Set(rows.map(({ table }) => table))].toSorted() }
  const rooflines = new Map(
    [...new Set(rows.map(({ source }) => source))].map((source) => [
      source,
      fitRoofline(usable.filter((row) => row.source !== source)),
    ]),
  )
  const groups = new Map<string, StepRow[]>()
  const alone = aloneIn(rows)
  for (const row of rows) {
    const key = `${row.table} ${row.kind} ${alone(row) ?? ''}`
    groups.set(key, [...(groups.get(key) ?? []), row])
  }
  const judged = (group: readonly StepRow[], predict: (row: StepRow) => number): ScoreSummary => {
    const ratios = group.map((row) => predict(row) / row.measuredS)
    const inside = group.filter((row, at) => {
      const width = calibration.interval[classOf(row.request, all)]
      return Math.abs(Math.log(ratios[at]!)) <= width
    })
    return summary(
      ratios.map((ratio) => ratio - 1),
      inside.length,
    )
  }
  const tables = [...groups.values()].map((group) => ({
    table: group[0]!.table,
    kind: group[0]!.kind,
    alone: alone(group[0]!),
    leftOut: alone(group[0]!) === null ? judged(group, (row) => row.predictS(without.get(row.source) ?? all)) : null,
    fitted: judged(group, (row) => row.predictS(all)),
    roofline: judged(group, (row) => rooflineSeconds(rooflines.get(row.source)!, row.request)),
  }))
  const medians = (of: 'leftOut' | 'roofline'): number =>
    quantile(
      tables.flatMap(({ kind, leftOut, roofline }) =>
        kind === 'dense' && leftOut !== null ? [{ leftOut, roofline }[of].median] : [],
      ),
      0.5,
    )
  const dense = { leftOut: medians('leftOut'), roofline: medians('roofline') }
  return { tables, calibration, dense, noise: noiseOf(rows) }
}

/** The generation of a row when only one source has it. */
function aloneIn(rows: readonly StepRow[]): (row: StepRow) => Architecture | null {
  const sources = new Map<Architecture, Set<string>>()
  for (const { architecture, source } of rows)
    sources.set(architecture, (sources.get(architecture) ?? new Set()).add(source))
  return ({ architecture }) => (sources.get(architecture)!.size === 1 ? architecture : null)
}

function classOf(request: TrainRequest, calibration: Calibration): IntervalClass {
  return intervalClass(request, stepTime(request, request.layout, calibration).parts)
}

/** Widths that hold four of five left-out rows, each source weighing the same. */
function intervalsOf(
  rows: readonly StepRow[],
  errors: (row: StepRow) => number,
  calibration: Calibration,
): Calibration['interval'] {
  const classes = new Map<IntervalClass, { size: number; source: string }[]>()
  for (const row of rows) {
    const name = classOf(row.request, calibration)
    classes.set(name, [...(classes.get(name) ?? []), { size: Math.abs(errors(row)), source: row.source }])
  }
  const width = (name: IntervalClass, fallback: number): number => {
    const entries = classes.get(name)
    if (entries === undefined) return fallback
    const counts = new Map<string, number>()
    for (const { source } of entries) counts.set(source, (counts.get(source) ?? 0) + 1)
    const sorted = entries
      .map(({ size, source }) => ({ size, weight: 1 / counts.get(source)! / counts.size }))
      .toSorted((a, b) => a.size - b.size)
    let covered = 0
    for (const { size, weight } of sorted) {
      covered += weight
      if (covered >= 0.8) return size
    }
    return fallback
  }
  const dense = width('dense', 0.2)
  const rounded = (value: number): number => Math.round(value * 1000) / 1000
  return {
    dense: rounded(dense),
    experts: rounded(width('experts', 1.5 * dense)),
    // One source alone has long contexts: its own width would promise too much for others.
    longContext: rounded(Math.max(width('longContext', 0), 1.25 * dense)),
    // No table to learn from: half again the width of what was measured.
    unseen: rounded(1.5 * dense),
  }
}

/** Rows of one table that differ in the release alone. */
function noiseOf(rows: readonly StepRow[]): Accuracy['noise'] {
  const runs = new Map<string, number[]>()
  for (const { table, request, measuredS } of rows) {
    const { software, id: _id, assumed: _assumed, ...rest } = request
    const key = JSON.stringify([table, software.framework, rest])
    runs.set(key, [...(runs.get(key) ?? []), measuredS])
  }
  const repeated = [...runs.values()].filter((times) => times.length > 1)
  const differing = repeated.filter((times) => Math.max(...times) / Math.min(...times) > 1.15)
  return { configurations: repeated.length, differing: differing.length }
}
