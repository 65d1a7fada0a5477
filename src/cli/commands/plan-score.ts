/** `gristmill plan score`: plans against measured runs. */
import { dirname } from 'node:path'
import { GristmillError } from '../../core/errors.js'
import { type Score, type ScoreLine, scoreLines } from '../../planner/index.js'
import { figure, percent } from '../../planner/page/figures.js'
import { createConsole } from '../console.js'
import type { Paint } from '../paint.js'
import type { ScoreFlags } from '../plan-program.js'
import { renderTable } from '../table.js'
import { jsonLines } from './plan-batch.js'

export function score(flags: ScoreFlags): Promise<number> {
  const output = createConsole(flags)
  const lines = jsonLines(flags.table).map((line, at) => measuredRun(line, at, flags.table))
  const result = scoreLines(lines, { folder: dirname(flags.table) })
  output.object({ schema: 'gristmill.plan.score/1', ...result })
  output.result(render(result, output.paint))
  return Promise.resolve(0)
}

function measuredRun(line: unknown, at: number, file: string): ScoreLine {
  const fault = faultOf(line)
  if (fault === undefined) return line as ScoreLine
  throw new GristmillError('GM_CONFIG', `${file}: measured run ${at + 1} ${fault}`, {
    hint: 'a line is {"id": "a", "table": "mine", "kind": "train", "request": {…}, "measured": {"time.stepS": 1.2}}',
  })
}

function faultOf(line: unknown): string | undefined {
  if (typeof line !== 'object' || line === null) return 'is no JSON object'
  const { id, table, kind, request, measured } = line as Partial<ScoreLine>
  if (typeof id !== 'string' || typeof table !== 'string') return 'lacks a text for id or table'
  if (kind !== 'train' && kind !== 'serve') return `has kind '${String(kind)}', neither train nor serve`
  if (typeof request !== 'object' || request === null) return 'lacks a request'
  if (typeof measured !== 'object' || measured === null) return 'lacks measured'
  const bad = Object.entries(measured).find(([, value]) => typeof value !== 'number')
  return bad === undefined ? undefined : `measures '${bad[0]}' as no number`
}

function render({ rows, tables, unplanned }: Score, paint: Paint): string {
  const each = rows.map(({ id, field, predicted, measured, error, inside, fitted }) => [
    id,
    field,
    figure(predicted.p50),
    figure(measured),
    signed(error),
    inside ? 'inside' : paint.warn('outside'),
    fitted ? 'fitted' : '',
  ])
  const sums = tables.map(({ table, field, n, median, p90, worst, signed: bias, coverage }) => [
    table,
    field,
    String(n),
    percent(median),
    percent(p90),
    percent(worst),
    signed(bias),
    percent(coverage),
  ])
  const right = 'right' as const
  const parts = [
    renderTable(
      ['row', 'field', 'predicted', 'measured', 'error', '80 %', ''],
      ['left', 'left', right, right, right, 'left', 'left'],
      each,
      paint,
    ),
    renderTable(
      ['table', 'field', 'rows', 'median', 'p90', 'worst', 'signed', 'covered'],
      ['left', 'left', right, right, right, right, right, right],
      sums,
      paint,
    ),
    ...unplanned.map(({ id, reason }) => `${paint.warn(id)}: ${reason}`),
  ]
  return parts.join('\n\n')
}

const signed = (share: number): string => `${share > 0 ? '+' : ''}${percent(share)}`
