/** Head of the report: what went in, what came out, and where every row went. */
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatPercent,
  formatRate,
  formatShortCount,
} from '../../core/units.js'
import type { Metrics } from '../metrics.js'
import { html, type Markup, nothing } from '../../core/page/html.js'
import { section, shareOf, stackedBar, swatch, table } from '../../core/page/parts.js'

/** Above this a tile shows a rounded number with the exact one below. */
const EXACT_UP_TO = 9_999_999

export function head(metrics: Metrics): Markup {
  const started = metrics.startedAt.replace(/^(\d{4}-\d\d-\d\d)T(\d\d:\d\d).*Z$/, '$1 $2 UTC')
  const workers = `${metrics.workers} ${metrics.workers === 1 ? 'worker' : 'workers'}`
  return html`<header>
    <h1>${metrics.name}</h1>
    <p class="soft">
      Started ${started}, took ${formatDuration(metrics.wallSeconds)} with ${workers}. gristmill
      ${metrics.gristmillVersion}.
    </p>
  </header> `
}

export function tiles({ totals, wallSeconds }: Metrics): Markup {
  const rate = wallSeconds > 0 ? formatRate(totals.decodedBytes / wallSeconds) : undefined
  return html`<dl class="tiles">
    ${countTile('Rows in', totals.rowsIn)} ${countTile('Rows out', totals.rowsOut)}
    ${totals.tokens > 0 ? countTile('Tokens', totals.tokens, rateOf(totals.tokens, wallSeconds)) : nothing}
    ${tile('Input', formatBytes(totals.decodedBytes), inputNote(totals))}
    ${tile('Speed', rate ?? 'n/a', 'decoded input per second')}
    ${tile('Output', formatBytes(totals.outputBytes), `${formatCount(totals.shards)} ${totals.shards === 1 ? 'shard' : 'shards'}`)}
  </dl> `
}

function rateOf(count: number, seconds: number): string | undefined {
  return seconds > 0 ? `${formatShortCount(count / seconds)} per second` : undefined
}

function inputNote({ inputFiles, inputBytes, decodedBytes }: Metrics['totals']): string {
  const files = `${formatCount(inputFiles)} ${inputFiles === 1 ? 'file' : 'files'}`
  return inputBytes === decodedBytes ? files : `${files}, ${formatBytes(inputBytes)} stored`
}

function countTile(title: string, count: number, note?: string): Markup {
  const exact = formatCount(count)
  return count <= EXACT_UP_TO ? tile(title, exact, note) : tile(title, formatShortCount(count), exact, note)
}

function tile(title: string, value: string, ...notes: (string | undefined)[]): Markup {
  const small = notes.filter((note) => note !== undefined).map((note) => html`<small>${note}</small>`)
  return html`<div class="tile">
    <dt>${title}</dt>
    <dd>${value}${small}</dd>
  </div>`
}

/** A bar of all rows by where they went, with the exact numbers. */
export function rowsAccount({ totals }: Metrics): Markup {
  const parts = [
    { name: 'Written', rows: totals.rowsOut, colour: 'var(--s1)' },
    { name: 'Removed by a step', rows: totals.removed, colour: 'var(--s4)' },
    { name: 'Routed to routed/', rows: totals.routed ?? 0, colour: 'var(--s3)' },
    { name: 'Quarantined', rows: totals.quarantined, colour: 'var(--bad)' },
    { name: 'Left out by the source', rows: totals.pruned, colour: 'var(--wait)' },
  ]
  const all = parts.reduce((sum, part) => sum + part.rows, 0)
  const added = all - totals.rowsIn
  const note =
    added > 0
      ? `Every row that was read (${formatCount(totals.rowsIn)}) or made by a step that splits rows (${formatCount(added)}).`
      : 'Every row that was read, by where it went.'
  const bar = stackedBar(
    'Rows by where they went; the table has the numbers',
    parts.map((part) => ({ ...part, share: shareOf(part.rows, all), amount: formatCount(part.rows) })),
  )
  const rows = parts
    .filter((part) => part.rows > 0 || (part.name !== 'Left out by the source' && part.name !== 'Routed to routed/'))
    .map((part) => ({
      cells: [swatch(part), formatCount(part.rows), formatPercent(shareOf(part.rows, all), 2)],
    }))
  const columns = [
    { title: 'Rows', kind: 'name' },
    { title: 'Count', kind: 'number' },
    { title: 'Share', kind: 'number' },
  ] as const
  return section('Where the rows went', note, html`${bar}${table('Rows by where they went', columns, rows)}`)
}
