/** The charts: lengths of documents, memory over time. Exact values lie folded below each. */
import { formatBinaryBytes, formatCount, formatDuration, formatPercent, formatShortCount } from '../../core/units.js'
import type { Metrics } from '../metrics.js'
import { html, type Markup, nothing } from '../../core/page/html.js'
import { percent, section, shareOf, table } from '../../core/page/parts.js'

/** Labels that fit below the histogram. */
const MOST_TICKS = 14
/** Points of the memory line; of each stretch the highest is drawn, since peaks are what counts. */
const MOST_POINTS = 300
const WIDTH = 1000
const HEIGHT = 200

export function lengths({ lengths: all }: Metrics): Markup {
  if (all === undefined || all.bins.length === 0) return nothing
  const documents = all.bins.reduce((sum, bin) => sum + bin.count, 0)
  return section(
    'Length of documents',
    `${formatCount(documents)} documents by their number of ${all.unit}; each column is twice as wide a range as the one before.`,
    histogram(all),
  )
}

interface Lengths {
  readonly unit: string
  /** In rising order; bounds are powers of two, and bins that hold no document may be missing. */
  readonly bins: readonly { readonly from: number; readonly to: number; readonly count: number }[]
}

const rangeOf = ({ from, to }: { from: number; to: number }): string =>
  to === from + 1 ? formatCount(from) : `${formatCount(from)} to ${formatCount(to - 1)}`

/** Columns from the shortest documents to the longest. */
export function bars({ unit, bins }: Lengths): Markup {
  const used = filled(bins)
  const most = Math.max(...used.map((bin) => bin.count))
  const every = Math.ceil(used.length / MOST_TICKS)
  const columns = used.map(
    (bin) =>
      html`<i
        style="height:${percent(shareOf(bin.count, most))}${bin.count > 0 ? ';min-height:2px' : ''}"
        title="${rangeOf(bin)} ${unit}: ${formatCount(bin.count)} documents"
      ></i>`,
  )
  const ticks = used.map((bin, at) => html`<span>${at % every === 0 ? powerLabel(bin.from) : ''}</span>`)
  return html`<div class="columns" role="img" aria-label="Histogram of document lengths in ${unit}">${columns}</div>
    <div class="ticks" aria-hidden="true">${ticks}</div>`
}

/** The same with the exact counts, folded away. */
export function histogram({ unit, bins }: Lengths): Markup {
  const used = filled(bins)
  const documents = used.reduce((sum, bin) => sum + bin.count, 0)
  const exact = table(
    'Documents by length',
    [
      { title: `${unit.slice(0, 1).toUpperCase()}${unit.slice(1)}`, kind: 'name' },
      { title: 'Documents', kind: 'number' },
      { title: 'Share', kind: 'number' },
    ],
    used.map((bin) => ({
      cells: [rangeOf(bin), formatCount(bin.count), formatPercent(shareOf(bin.count, documents), 2)],
    })),
  )
  return html`${bars({ unit, bins })}
    <details>
      <summary>Exact counts</summary>
      ${exact}
    </details>`
}

/** The bins from the first to the last that holds a document, those between that hold none included. */
function filled(bins: Lengths['bins']): Lengths['bins'] {
  const counted = bins.filter((bin) => bin.count > 0)
  const counts = new Map(counted.map(({ from, count }) => [from, count]))
  const [first, last] = [counted[0], counted.at(-1)]
  const all: Lengths['bins'][number][] = []
  if (first === undefined || last === undefined) return all
  for (let { from, to } = first; from <= last.from; [from, to] = [to, to * 2]) {
    all.push({ from, to, count: counts.get(from) ?? 0 })
  }
  return all
}

/** Powers of two read best in powers of two: 512, 1K (1,024), 2M. */
function powerLabel(value: number): string {
  if (value >= 2 ** 30) return `${value / 2 ** 30}G`
  if (value >= 2 ** 20) return `${value / 2 ** 20}M`
  return value >= 2 ** 10 ? `${value / 2 ** 10}K` : formatShortCount(value)
}

export function memory({ memory: samples, memoryBudgetBytes }: Metrics): Markup {
  const points = peaks(samples)
  const last = points.at(-1)
  if (last === undefined) return nothing
  const peak = Math.max(...points.map((point) => point.rssBytes))
  // The budget is drawn when it is near enough to say something; else it would flatten the line.
  const showsBudget = memoryBudgetBytes > 0 && memoryBudgetBytes <= peak * 3
  const top = Math.max(peak, showsBudget ? memoryBudgetBytes : 0) * 1.05
  const seconds = Math.max(last.seconds, 1e-9)
  const x = (point: { seconds: number }): string => ((point.seconds / seconds) * WIDTH).toFixed(1)
  const y = (bytes: number): string => (HEIGHT - (bytes / top) * HEIGHT).toFixed(1)
  const drawn =
    points.length === 1
      ? [
          { ...last, seconds: 0 },
          { ...last, seconds },
        ]
      : points
  const line = drawn.map((point) => `${x(point)},${y(point.rssBytes)}`).join(' ')
  const firstX = x(drawn[0] ?? last)
  const limit = showsBudget
    ? html`<line class="limit" x1="0" x2="${WIDTH}" y1="${y(memoryBudgetBytes)}" y2="${y(memoryBudgetBytes)}" />`
    : nothing
  const note = `Resident memory of the process: at most ${formatBinaryBytes(peak)}, ${formatPercent(shareOf(peak, memoryBudgetBytes), 0)} of the budget of ${formatBinaryBytes(memoryBudgetBytes)}.`
  const exact = table(
    'Memory over time',
    [
      { title: 'Time', kind: 'name' },
      { title: 'Resident', kind: 'number' },
    ],
    tenth(points).map((point) => ({ cells: [formatDuration(point.seconds), formatBinaryBytes(point.rssBytes)] })),
  )
  return section(
    'Memory over time',
    note,
    html`<div class="key" aria-hidden="true">
        <span>resident, top of the chart is ${formatBinaryBytes(top)}</span
        >${showsBudget ? html`<span class="limit">budget</span>` : nothing}
      </div>
      <svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${note}">
        <polygon class="area" points="${firstX},${HEIGHT} ${line} ${WIDTH},${HEIGHT}" />
        <polyline class="line" points="${line}" />
        ${limit}
        <line class="base" x1="0" x2="${WIDTH}" y1="${HEIGHT}" y2="${HEIGHT}" />
      </svg>
      <div class="axis" aria-hidden="true">
        <span>0</span><span>${formatDuration(seconds / 2)}</span><span>${formatDuration(seconds)}</span>
      </div>
      <details>
        <summary>Exact values</summary>
        ${exact}
      </details>`,
  )
}

type Samples = Metrics['memory']

/** At most `MOST_POINTS` samples: of each stretch the highest. */
function peaks(samples: Samples): Samples {
  const stretch = Math.ceil(samples.length / MOST_POINTS)
  if (stretch <= 1) return samples
  return Array.from({ length: Math.ceil(samples.length / stretch) }, (_, at) =>
    samples.slice(at * stretch, (at + 1) * stretch).reduce((most, one) => (one.rssBytes > most.rssBytes ? one : most)),
  )
}

/** A few samples, evenly spread, the last among them. */
function tenth(samples: Samples): Samples {
  const step = Math.max(1, Math.ceil(samples.length / 12))
  return samples.filter((_, at) => at % step === 0 || at === samples.length - 1)
}
