/** Why rows left: removals by rule, quarantine by code; and how sequences were filled. */
import { formatBytes, formatCount, formatPercent } from '../../core/units.js'
import type { Metrics } from '../metrics.js'
import { html, type Markup, nothing } from '../../core/page/html.js'
import { percent, type Row, section, shareOf, table } from '../../core/page/parts.js'

const SHOWN_RULES = 15
/** Groups on the page; `metrics.json` has all. */
const LISTED_GROUPS = 200
/** More rules than this get the page's full width. */
const FEW_RULES = 6

function removals({ removals: all, totals }: Metrics): Markup {
  const rules = all.filter((rule) => rule.rows > 0).sort((a, b) => b.rows - a.rows)
  if (rules.length === 0) return section('Removals by rule', 'No step removed a row.', nothing)
  const most = rules[0]?.rows ?? 1
  const rows = rules.map(({ step, rule, rows }) => ({
    cells: [
      rule === step || rule === '' ? step : html`${step} <span class="stage">${rule}</span>`,
      formatCount(rows),
      formatPercent(shareOf(rows, totals.rowsIn), 2),
      rows / most,
    ],
  }))
  const columns = [
    { title: 'Rule', kind: 'name' },
    { title: 'Rows', kind: 'number' },
    { title: 'Of rows in', kind: 'number' },
    { title: '', kind: 'bar' },
  ] as const
  const note = html`${formatCount(totals.removed)} rows, each with its record in <code>removed/</code>.`
  return section('Removals by rule', note, table('Removals by rule', columns, rows, SHOWN_RULES))
}

/** Removals and quarantine, side by side when both are short; then edits, and removals by source and language. */
export function reasons(metrics: Metrics): Markup {
  const both = html`${removals(metrics)}${quarantine(metrics)}`
  const pair = metrics.removals.length > FEW_RULES ? both : html`<div class="pair">${both}</div>`
  return html`${pair}${edits(metrics)}${groups(metrics)}`
}

function edits({ edits: all = [], totals }: Metrics): Markup {
  if (all.length === 0) return nothing
  const sorted = all.toSorted((a, b) => b.bytes - a.bytes)
  const most = sorted[0]?.bytes ?? 1
  const rows = sorted.map(({ step, rule, rows: edited, count, bytes }) => ({
    cells: [
      rule === step ? step : html`${step} <span class="stage">${rule}</span>`,
      formatCount(edited),
      formatPercent(shareOf(edited, totals.rowsIn), 2),
      formatCount(count),
      formatBytes(bytes),
      bytes / Math.max(1, most),
    ],
  }))
  const columns = [
    { title: 'Rule', kind: 'name' },
    { title: 'Rows edited', kind: 'number' },
    { title: 'Of rows in', kind: 'number' },
    { title: 'Times', kind: 'number' },
    { title: 'Taken away or replaced', kind: 'number' },
    { title: '', kind: 'bar' },
  ] as const
  const note = html`What steps changed in rows that stayed; each row's edits are in <code>edits/</code>.`
  return section('Edits by rule', note, table('Edits by rule', columns, rows, SHOWN_RULES))
}

/** Of each source and language, what share each step removed; the largest first, since that is how corpora are lost. */
function groups({ stages }: Metrics): Markup {
  const all = stages.flatMap(({ steps }) =>
    steps.flatMap(({ step, groups: of = [] }) => of.map((group) => ({ step, ...group }))),
  )
  if (all.length === 0) return nothing
  const share = ({ removed, rowsIn }: { removed: number; rowsIn: number }): number => shareOf(removed, rowsIn)
  const rowsOf = (own: typeof all): Row[] =>
    own
      .toSorted((a, b) => share(b) - share(a) || b.removed - a.removed)
      .slice(0, LISTED_GROUPS)
      .map(({ column, value, otherValue, ...group }) => ({
        cells: [
          html`${otherValue === undefined ? `${column} ${value}` : `${value}, ${otherValue}`}
            <span class="stage">${group.step}</span>`,
          formatCount(group.rowsIn),
          formatCount(group.removed),
          formatPercent(share(group), 2),
          share(group),
        ],
      }))
  const columns = [
    { title: 'Group and step', kind: 'name' },
    { title: 'Rows in', kind: 'number' },
    { title: 'Removed', kind: 'number' },
    { title: 'Share', kind: 'number' },
    { title: '', kind: 'bar' },
  ] as const
  const note = 'What a step removed of the rows of one source or language, the largest share first.'
  const title = 'Removals by source and language'
  const [ofOne, ofBoth] = [false, true].map((both) => all.filter((group) => (group.otherValue !== undefined) === both))
  const pairs =
    ofBoth!.length === 0
      ? nothing
      : html`<details>
          <summary>By both together</summary>
          ${table(`${title} together`, columns, rowsOf(ofBoth!), SHOWN_RULES)}
        </details>`
  return section(title, note, html`${table(title, columns, rowsOf(ofOne!), SHOWN_RULES)}${pairs}`)
}

function quarantine({ quarantine: all, totals }: Metrics): Markup {
  const codes = all.filter((code) => code.rows > 0).sort((a, b) => b.rows - a.rows)
  if (codes.length === 0) return section('Quarantine', 'Every record could be read.', nothing)
  const most = codes[0]?.rows ?? 1
  const rows = codes.map(({ code, rows }) => ({
    cells: [html`<code>${code}</code>`, formatCount(rows), formatPercent(shareOf(rows, totals.rowsIn), 2), rows / most],
  }))
  const columns = [
    { title: 'Code', kind: 'name' },
    { title: 'Records', kind: 'number' },
    { title: 'Of rows in', kind: 'number' },
    { title: '', kind: 'bar' },
  ] as const
  const note = html`${formatCount(totals.quarantined)} records that could not be read, kept in
    <code>quarantine/</code>.`
  return section('Quarantine', note, table('Quarantine by code', columns, rows, SHOWN_RULES))
}

/** What rounds of a deduplication count, in words. */
const COUNTED: Readonly<Record<string, string>> = {
  candidates: 'Candidates: rows that share a band with another',
  largest: 'Candidates in the largest component',
  compared: 'Pairs compared by their shingles',
  overflow: 'Times that a full bucket took no further leader',
}

/** What was counted while near-duplicates were found. */
export function nearDuplicates({ stages }: Metrics): Markup {
  const rows = stages.flatMap(({ name, counts = {} }) =>
    Object.entries(counts)
      .filter(([count]) => COUNTED[count] !== undefined)
      .map(([count, value]) => ({ cells: [name.split(':')[0]!, COUNTED[count]!, formatCount(value)] })),
  )
  if (rows.length === 0) return nothing
  const columns = [
    { title: 'Step', kind: 'name' },
    { title: 'What', kind: 'text' },
    { title: 'Count', kind: 'number' },
  ] as const
  const note = 'A bucket has at most 64 leaders, which rows are compared with; what overflows may leave a duplicate in.'
  return section('Near-duplicates', note, table('Near-duplicates', columns, rows))
}

export function packing({ packing: packed }: Metrics): Markup {
  if (packed === undefined) return nothing
  const positions = packed.sequences * packed.length
  const facts: [string, string][] = [
    ['Sequences', formatCount(packed.sequences)],
    ['Tokens per sequence', formatCount(packed.length)],
    ['Documents', formatCount(packed.documents)],
    ['Pieces', formatCount(packed.pieces)],
    ['Pieces per sequence', shareOf(packed.pieces, packed.sequences).toFixed(2)],
    ['Tokens', formatCount(packed.tokens)],
    ['Positions left empty', formatCount(Math.max(0, positions - packed.tokens))],
    ['Documents split', formatCount(packed.splitDocuments)],
    ['Tokens cut off', formatCount(packed.truncatedTokens)],
  ]
  const columns = [
    { title: 'Measure', kind: 'name' },
    { title: 'Value', kind: 'number' },
  ] as const
  const note = html`Strategy ${packed.strategy}: ${formatPercent(packed.utilisation, 2)} of the positions hold a token.`
  const bar = html`<div
    class="stack"
    role="img"
    aria-label="Share of positions that hold a token: ${formatPercent(packed.utilisation, 2)}"
  >
    ${packed.tokens > 0 ? html`<i style="width:${percent(packed.utilisation)};background:var(--data)"></i>` : nothing}
  </div>`
  return section(
    'Packing',
    note,
    html`${bar}${table(
      'Packing',
      columns,
      facts.map((cells) => ({ cells })),
    )}`,
  )
}
