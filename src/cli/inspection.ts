/** A run directory, drawn: its sums, its shards, its sequences as text. */
import { formatBytes, formatCount, formatPercent } from '../core/units.js'
import type { Manifest } from '../engine/manifest.js'
import type { DecodedPiece, DecodedSequence } from '../observe/decode.js'
import type { Inspection } from '../observe/inspect.js'
import type { Paint } from './paint.js'
import { renderColumns, renderTable } from './table.js'

const SHOWN_SHARDS = 12
const SHOWN_IDS = 32

export function renderInspection(inspection: Inspection, folder: string, paint: Paint): string {
  if (inspection.state === 'unfinished') return renderUnfinished(inspection, folder, paint)
  const { manifest, outputBytes } = inspection
  return [
    `${paint.bold(manifest.name)} ${paint.dim(`gristmill ${manifest.gristmillVersion}`)}`,
    '',
    renderColumns(facts(manifest, outputBytes, paint), ['left', 'right', 'left']),
    '',
    renderShards(manifest, paint),
    ...renderPacks(manifest, paint),
    '',
    renderAttempts(manifest, paint),
  ].join('\n')
}

function renderUnfinished(
  { tasks, stages }: Extract<Inspection, { state: 'unfinished' }>,
  folder: string,
  paint: Paint,
): string {
  const lines = [
    `${paint.warn('unfinished')}: ${folder} has no manifest.json; ${formatCount(tasks)} ${tasks === 1 ? 'task is' : 'tasks are'} committed`,
  ]
  if (stages.length > 0) {
    const rows = stages.map(({ stage, tasks: count }) => [stage, formatCount(count)])
    lines.push('', renderTable(['stage', 'tasks committed'], ['left', 'right'], rows, paint))
  }
  lines.push(
    '',
    `${paint.accent('hint')}: run the same command again (gristmill run PIPELINE --out ${folder}) to resume`,
  )
  return lines.join('\n')
}

function facts(
  { totals, inputs, truncatedInputs, exitCode, columns, edits = [] }: Manifest,
  outputBytes: number,
  paint: Paint,
): string[][] {
  const share = (rows: number): string =>
    rows > 0 ? paint.dim(formatPercent(rows / Math.max(1, totals.rowsIn), 2)) : ''
  const rows = [
    ['inputs', formatCount(inputs.length), paint.dim(formatBytes(inputs.reduce((sum, input) => sum + input.bytes, 0)))],
    ['rows in', formatCount(totals.rowsIn), ''],
    ['rows out', formatCount(totals.rowsOut), share(totals.rowsOut)],
    ['removed', formatCount(totals.removed), share(totals.removed)],
    ['quarantined', formatCount(totals.quarantined), share(totals.quarantined)],
  ]
  if (totals.added > 0) rows.splice(2, 0, ['added', formatCount(totals.added), ''])
  const { routed = 0 } = totals
  if (routed > 0) rows.push(['routed', formatCount(routed), share(routed)])
  if (totals.pruned > 0) rows.push(['pruned', formatCount(totals.pruned), share(totals.pruned)])
  const edited = edits.reduce((sum, file) => sum + file.rows, 0)
  if (edited > 0) rows.push(['edits', formatCount(edited), ''])
  if (totals.tokens > 0) rows.push(['tokens', formatCount(totals.tokens), ''])
  rows.push([
    'shards',
    formatBytes(outputBytes),
    paint.dim(columns.map(({ name, type }) => `${name} ${type}`).join(', ')),
  ])
  if (truncatedInputs.length > 0) rows.push([paint.warn('truncated inputs'), formatCount(truncatedInputs.length), ''])
  if (exitCode !== 0) rows.push([paint.warn('exit code'), String(exitCode), ''])
  return rows
}

function renderShards({ shards }: Manifest, paint: Paint): string {
  const tokens = shards.some((shard) => shard.tokens !== undefined)
  const row = (shard: Manifest['shards'][number]): string[] => [
    shard.name,
    formatCount(shard.rows),
    ...(tokens ? [formatCount(shard.tokens ?? 0)] : []),
    formatBytes(shard.files.reduce((sum, file) => sum + file.bytes, 0)),
    paint.dim(shard.files.map((file) => file.name.slice(file.name.indexOf('.'))).join(' ')),
  ]
  const headings = ['shard', 'rows', ...(tokens ? ['tokens'] : []), 'bytes', 'files']
  const align = headings.map((heading) => (heading === 'shard' || heading === 'files' ? 'left' : 'right'))
  const table = renderTable(headings, align, shards.slice(0, SHOWN_SHARDS).map(row), paint)
  const more = shards.length - SHOWN_SHARDS
  return more > 0 ? `${table}\n  ${paint.dim(`and ${formatCount(more)} more; --json lists all`)}` : table
}

function renderPacks({ packs }: Manifest, paint: Paint): string[] {
  if (packs.length === 0) return []
  const rows = packs.map((pack) => [
    `packs/${pack.length}`,
    pack.strategy,
    formatCount(pack.sequences),
    formatCount(pack.pieces),
    formatPercent(pack.tokens / Math.max(1, pack.sequences * pack.length), 2),
    formatCount(pack.splitDocuments),
    formatCount(pack.truncatedTokens),
  ])
  const headings = ['pack', 'strategy', 'sequences', 'pieces', 'full', 'documents split', 'tokens cut off']
  return ['', renderTable(headings, ['left', 'left', 'right', 'right', 'right', 'right', 'right'], rows, paint)]
}

function renderAttempts({ attempts }: Manifest, paint: Paint): string {
  const rows = attempts.map((attempt) => [
    String(attempt.attempt),
    attempt.startedAt.slice(0, 19).replace('T', ' '),
    attempt.outcome,
    String(attempt.workers),
    formatCount(attempt.tasksRun),
    formatCount(attempt.tasksSkipped),
  ])
  const headings = ['attempt', 'started (UTC)', 'outcome', 'workers', 'tasks run', 'skipped']
  return renderTable(headings, ['right', 'left', 'left', 'right', 'right', 'right'], rows, paint)
}

/** Sequences as text, with a line where each document starts. */
export function renderSequences(sequences: readonly DecodedSequence[], paint: Paint): string {
  return sequences.map((sequence) => renderSequence(sequence, paint)).join('\n\n')
}

function renderSequence({ sequence, length, tokens, pieces }: DecodedSequence, paint: Paint): string {
  const size =
    length === undefined ? `${formatCount(tokens)} tokens` : `${formatCount(tokens)} of ${formatCount(length)} tokens`
  const documents = `${pieces.length} ${pieces.length === 1 ? 'document' : 'documents'}`
  const head = length === undefined ? `document ${sequence} (${size})` : `sequence ${sequence} (${size}, ${documents})`
  const parts = pieces.map((piece) =>
    length === undefined ? renderText(piece, paint) : `${boundary(piece, paint)}\n${renderText(piece, paint)}`,
  )
  return [paint.bold(head), ...parts].join('\n')
}

function boundary({ document, shard, tokens, before, after }: DecodedPiece, paint: Paint): string {
  const notes = [`${formatCount(tokens)} tokens`]
  if (before > 0) notes.push(`continues after ${formatCount(before)} tokens elsewhere`)
  if (after > 0) notes.push(`${formatCount(after)} more elsewhere`)
  return paint.accent(`── ${shard} document ${formatCount(document)}: ${notes.join(', ')} ──`)
}

function renderText({ text, ids, hidden }: DecodedPiece, paint: Paint): string {
  const rest = hidden > 0 ? `\n${paint.dim(`… ${formatCount(hidden)} more tokens`)}` : ''
  if (text !== undefined) return printable(text) + rest
  const cut = ids.length > SHOWN_IDS ? ' …' : ''
  return paint.dim(`ids ${ids.slice(0, SHOWN_IDS).join(' ')}${cut}`) + rest
}

/** Text of strangers must not steer the terminal: controls become their pictures (U+2400 and up). */
export function printable(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(/[\u0000-\u0008\u000B-\u001F]/g, (control) => String.fromCodePoint(0x2400 + control.charCodeAt(0)))
    .replace(/[\u007F-\u009F\u202A-\u202E\u2066-\u2069]/g, '\uFFFD')
}
