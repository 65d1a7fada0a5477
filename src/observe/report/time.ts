/** Where time went, how fast each step was, and what bounded the run. */
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatPercent,
  formatRate,
  formatShortCount,
} from '../../core/units.js'
import type { Metrics, StepMetrics } from '../metrics.js'
import { html, type Markup, nothing } from '../../core/page/html.js'
import { section, shareOf, stackedBar, swatch, table } from '../../core/page/parts.js'

/** Steps with a colour of their own; the rest share one. */
const COLOURS = ['var(--s1)', 'var(--s2)', 'var(--s3)', 'var(--s4)', 'var(--s5)', 'var(--s6)', 'var(--s7)', 'var(--s8)']
const OTHER_COLOUR = 'var(--quiet)'
const WAITING = 'repeating-linear-gradient(135deg,var(--wait) 0 2px,transparent 2px 4px)'
const SHOWN_STEPS = 20

interface StageStep extends StepMetrics {
  readonly stage: string
}

function stepsOf({ stages }: Metrics): StageStep[] {
  // By number: a stage's name lists its steps, which would fill the table.
  return stages.flatMap((stage, at) => stage.steps.map((step) => ({ ...step, stage: String(at + 1) })))
}

export function bottleneck({ bottleneck: found }: Metrics): Markup {
  if (found === undefined) return nothing
  return html`<section class="finding">
    <h2>What bounded the run</h2>
    <p><strong>${found.step}</strong> took ${formatPercent(found.share, 0)} of the time that workers had work.</p>
    <p class="soft">${found.explanation}</p>
  </section> `
}

/** The workers' time: computing by step, waiting for bytes, and the rest. */
export function whereTimeWent(metrics: Metrics): Markup {
  const steps = stepsOf(metrics).sort((a, b) => b.busySeconds - a.busySeconds)
  const busy = steps.reduce((sum, step) => sum + step.busySeconds, 0)
  const waiting = steps.reduce((sum, step) => sum + step.waitSeconds, 0)
  const granted = Math.max(metrics.workers * metrics.wallSeconds, busy + waiting)
  if (granted === 0 || steps.length === 0) return nothing
  const parts = [
    ...steps.map((step, at) => ({
      name: step.step,
      stage: step.stage,
      seconds: step.busySeconds,
      colour: COLOURS[at] ?? OTHER_COLOUR,
    })),
    { name: 'waiting for bytes', stage: '', seconds: waiting, colour: WAITING },
    { name: 'no work', stage: '', seconds: Math.max(0, granted - busy - waiting), colour: 'var(--idle)' },
  ]
  const bar = stackedBar(
    'Worker time by step; the table has the numbers',
    parts.map((part) => ({ ...part, share: part.seconds / granted, amount: formatDuration(part.seconds) })),
  )
  const rows = parts.map(({ name, stage, seconds, colour }) => ({
    cells: [
      swatch({ name, colour }),
      html`<span class="stage">${stage}</span>`,
      formatDuration(seconds),
      formatPercent(seconds / granted),
    ],
    strong: name === metrics.bottleneck?.step && stage !== '',
  }))
  const columns = [
    { title: 'Step', kind: 'name' },
    { title: 'Stage', kind: 'text' },
    { title: 'Time', kind: 'number' },
    { title: 'Share', kind: 'number' },
  ] as const
  const note = `${formatDuration(granted)} of worker time: ${metrics.workers} × ${formatDuration(metrics.wallSeconds)}. “No work” is planning, publishing, and workers that waited for others.`
  return section('Where time went', note, html`${bar}${table('Worker time by step', columns, rows, SHOWN_STEPS + 2)}`)
}

/** What each step took in per second of its own work, so that steps can be compared. */
export function throughput(metrics: Metrics): Markup {
  const steps = stepsOf(metrics)
  if (steps.length === 0) return nothing
  // Time a row costs, since bytes mean different things to different steps (packing sees lengths alone).
  const costOf = (step: StepMetrics): number => shareOf(step.busySeconds, step.rowsIn)
  const dearest = Math.max(...steps.map(costOf))
  const rows = steps.map((step) => ({
    cells: [
      step.step,
      html`<span class="stage">${step.stage}</span>`,
      formatCount(step.rowsIn),
      formatCount(step.rowsOut),
      formatBytes(step.bytesIn),
      step.busySeconds > 0 ? formatShortCount(step.rowsIn / step.busySeconds) : 'n/a',
      step.busySeconds > 0 ? formatRate(step.bytesIn / step.busySeconds) : 'n/a',
      shareOf(costOf(step), dearest),
    ],
    strong: step.step === metrics.bottleneck?.step,
  }))
  const columns = [
    { title: 'Step', kind: 'name' },
    { title: 'Stage', kind: 'text' },
    { title: 'Rows in', kind: 'number' },
    { title: 'Rows out', kind: 'number' },
    { title: 'Bytes in', kind: 'number' },
    { title: 'Rows/s', kind: 'number' },
    { title: 'Speed', kind: 'number' },
    { title: '', kind: 'bar' },
  ] as const
  const reused = steps.reduce((rows, step) => rows + (step.reusedRows ?? 0), 0)
  const repeats = reused > 0 ? ` ${formatCount(reused)} rows took their tokens from an identical text before them.` : ''
  const note = `Per worker, while it computed. The bar is the time that a row costs: the longest is the slowest step.${repeats}`
  return section('Throughput per step', note, table('Throughput per step', columns, rows, SHOWN_STEPS), 'long')
}
