/** What a finished run comes to, in a few lines. */
import { formatBytes, formatCount, formatDuration, formatPercent, formatRate } from '../core/units.js'
import type { RunResult } from '../index.js'
import type { Paint } from './paint.js'
import { renderColumns } from './table.js'

export function renderSummary({ metrics, manifest, out, exitCode }: RunResult, paint: Paint): string {
  const { totals } = metrics
  // A run that was complete keeps the metrics of the attempt that worked.
  const tasksRun = manifest.attempts.at(-1)?.tasksRun ?? 0
  const wasFinished = manifest.attempts.slice(0, -1).some(({ outcome }) => outcome === 'done')
  const headline =
    tasksRun === 0 && wasFinished
      ? 'was finished before; nothing to do'
      : `finished in ${formatDuration(metrics.wallSeconds)} with ${metrics.workers} ${metrics.workers === 1 ? 'worker' : 'workers'}`
  const share = (rows: number): string =>
    rows > 0 ? paint.dim(formatPercent(rows / Math.max(1, totals.rowsIn), 2)) : ''
  const rows: [string, string, string][] = [['rows in', formatCount(totals.rowsIn), '']]
  if (manifest.totals.added > 0) rows.push(['added', formatCount(manifest.totals.added), ''])
  rows.push(['rows out', formatCount(totals.rowsOut), share(totals.rowsOut)])
  rows.push(['removed', formatCount(totals.removed), share(totals.removed)])
  const { routed = 0 } = totals
  if (routed > 0) rows.push(['routed', formatCount(routed), share(routed)])
  rows.push(['quarantined', formatCount(totals.quarantined), share(totals.quarantined)])
  if (totals.pruned > 0) rows.push(['pruned', formatCount(totals.pruned), share(totals.pruned)])
  if (totals.tokens > 0) rows.push(['tokens', formatCount(totals.tokens), ''])
  const lines = ['', `${paint.bold(metrics.name)} ${headline}`, '', renderColumns(rows, ['left', 'right', 'right']), '']
  lines.push(renderColumns([...speedLines(metrics, tasksRun), ...placeLines(metrics, out, paint)], ['left', 'left']))
  if (metrics.packing !== undefined) lines.splice(-1, 0, ...packingLines(metrics.packing))
  if (exitCode !== 0) lines.push('', ...reasons(manifest, paint))
  return lines.join('\n')
}

function speedLines(metrics: RunResult['metrics'], tasksRun: number): [string, string][] {
  const { decodedBytes } = metrics.totals
  if (tasksRun === 0 || metrics.wallSeconds <= 0) return []
  const rate = formatRate(decodedBytes / metrics.wallSeconds)
  const lines: [string, string][] = [['speed', `${rate} (${formatBytes(decodedBytes)} of text and fields)`]]
  if (metrics.bottleneck !== undefined) lines.push(['bound by', metrics.bottleneck.step])
  return lines
}

function placeLines(metrics: RunResult['metrics'], out: string, paint: Paint): [string, string][] {
  const { shards, outputBytes } = metrics.totals
  const count = `${formatCount(shards)} ${shards === 1 ? 'shard' : 'shards'}, ${formatBytes(outputBytes)}`
  const root = out.replace(/\/$/, '')
  return [
    ['shards', `${paint.accent(`${root}/shards`)} (${count})`],
    ['report', paint.accent(`${root}/report.html`)],
  ]
}

function packingLines(packing: NonNullable<RunResult['metrics']['packing']>): string[] {
  const { sequences, length, utilisation, strategy } = packing
  return [
    renderColumns(
      [
        [
          'packed',
          `${formatCount(sequences)} sequences of ${formatCount(length)}, ${formatPercent(utilisation, 2)} full, ${strategy}`,
        ],
      ],
      ['left', 'left'],
    ),
  ]
}

/** Why a run that finished ends with 3. */
function reasons(manifest: RunResult['manifest'], paint: Paint): string[] {
  const { quarantined, rowsIn } = manifest.totals
  const lines = manifest.truncatedInputs
    .slice(0, 5)
    .map(({ path, reason }) => `${paint.warn('truncated input')}: ${path}: ${reason}`)
  const more = manifest.truncatedInputs.length - lines.length
  if (more > 0) lines.push(`and ${formatCount(more)} more truncated inputs, listed in manifest.json`)
  if (manifest.truncatedInputs.length === 0) {
    const share = formatPercent(quarantined / Math.max(1, rowsIn), 2)
    lines.push(
      `${paint.warn('bad records')}: ${formatCount(quarantined)} of ${formatCount(rowsIn)} (${share}) are in quarantine/, more than the stated share`,
    )
  }
  lines.push(
    `${paint.accent('hint')}: look at quarantine/*.jsonl; \`maxBadShare\` of the source says how much is accepted`,
  )
  return lines
}
