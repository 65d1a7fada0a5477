/** What two runs decided differently, drawn. */
import { formatCount } from '../core/units.js'
import type { DiffChange, DiffMove, DiffSample, Outcome, RunDiff } from '../observe/diff.js'
import { printable } from './inspection.js'
import type { Paint } from './paint.js'
import { renderColumns, renderTable } from './table.js'

/** Rules of a kind that are listed. */
const SHOWN_RULES = 12
const SHOWN_CHARACTERS = 100
/** In the order of the table's rows and columns. */
const OUTCOMES: readonly Outcome[] = ['kept', 'removed', 'quarantined', 'routed', 'absent']

const TITLES: Readonly<Record<DiffChange['change'], string>> = {
  removed: 'newly removed',
  routed: 'newly routed',
  returned: 'brought back',
  moved: 'left in another way',
  same: 'left both alike',
  elsewhere: 'left inputs of one run alone',
}

export function renderDiff(diff: RunDiff, paint: Paint): string {
  const { before, after, inputs, changes, moves, notes } = diff
  const row = (name: string, of: (side: RunDiff['before']) => number): string[] => {
    const [a, b] = [of(before), of(after)]
    const change = b - a
    return [
      name,
      formatCount(a),
      formatCount(b),
      change === 0 ? '' : paint.dim(`${change > 0 ? '+' : '-'}${formatCount(Math.abs(change))}`),
    ]
  }
  const totals = renderTable(
    ['', before.run, after.run, ''],
    ['left', 'right', 'right', 'right'],
    [
      row('rows in', ({ totals }) => totals.rowsIn),
      row('rows out', ({ totals }) => totals.rowsOut),
      row('removed', ({ totals }) => totals.removed),
      row('routed', ({ totals }) => totals.routed ?? 0),
      row('quarantined', ({ totals }) => totals.quarantined),
    ],
    paint,
  )
  const alone = inputs.beforeOnly.length + inputs.afterOnly.length
  const said =
    alone === 0 ? [] : [`${formatCount(alone)} inputs belong to one run alone (${formatCount(inputs.both)} to both)`]
  const kinds = (Object.keys(TITLES) as DiffChange['change'][]).flatMap((kind) =>
    renderKind(
      kind,
      changes.filter(({ change }) => change === kind),
      paint,
    ),
  )
  const nothing = changes.every(({ change }) => change === 'same')
    ? ['', 'The runs kept the same rows, and removed the others by the same rules.']
    : renderMoves(moves, paint)
  return [
    totals,
    ...nothing,
    ...kinds,
    ...[...notes, ...said].flatMap((note) => ['', `${paint.warn('note')}: ${printable(note)}`]),
  ].join('\n')
}

/** A table with a row for each outcome in the first run and a column for each in the second. */
function renderMoves(moves: readonly DiffMove[], paint: Paint): string[] {
  const of = (side: 'before' | 'after'): Outcome[] => OUTCOMES.filter((one) => moves.some((move) => move[side] === one))
  const [from, to] = [of('before'), of('after')]
  const cell = (before: Outcome, after: Outcome): string => {
    const rows = moves.find((move) => move.before === before && move.after === after)?.rows
    return rows === undefined ? '' : formatCount(rows)
  }
  const rows = from.map((before) => [before, ...to.map((after) => cell(before, after))])
  return ['', renderTable(['from ↓ to →', ...to], ['left', ...to.map(() => 'right' as const)], rows, paint)]
}

function renderKind(kind: DiffChange['change'], changes: readonly DiffChange[], paint: Paint): string[] {
  if (changes.length === 0) return []
  const rows = changes.reduce((sum, change) => sum + change.rows, 0)
  const lines = ['', `${paint.bold(TITLES[kind])}: ${formatCount(rows)}`]
  for (const change of changes.slice(0, SHOWN_RULES)) {
    lines.push(renderColumns([[formatCount(change.rows), rulesOf(change)]], ['right', 'left']))
    for (const sample of change.samples) lines.push(paint.dim(`      ${renderSample(sample)}`))
  }
  if (changes.length > SHOWN_RULES)
    lines.push(`  and ${formatCount(changes.length - SHOWN_RULES)} more; --json lists all`)
  return lines
}

function rulesOf({ change, before, after }: DiffChange): string {
  const name = (rule: DiffChange['before']): string =>
    rule ? printable(`${rule.step}: ${rule.rule}${rule.outcome === 'routed' ? ', routed' : ''}`) : ''
  return change === 'moved' ? `${name(before)} → ${name(after)}` : name(after ?? before)
}

function renderSample({ id, file, position, text }: DiffSample): string {
  const place = `${file}:${position}`
  const start =
    text === undefined ? '' : `  ${Array.from(text.replaceAll(/\s+/gu, ' ')).slice(0, SHOWN_CHARACTERS).join('')}`
  return printable(id === undefined || id === place ? `${place}${start}` : `${id}  ${place}${start}`)
}
