/** `gristmill plan batch`: a request a line, a result a line. */
import { readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { ioError } from '../../core/errors.js'
import { planLine, type ServePlan, type TrainPlan } from '../../planner/index.js'
import { figure, gib } from '../../planner/page/figures.js'
import { createConsole, type OutputFlags } from '../console.js'
import type { Paint } from '../paint.js'
import { renderTable } from '../table.js'

/** Refused lines are results, so the exit code is 0 once the file was read. */
export function batch(file: string, flags: OutputFlags): Promise<number> {
  const output = createConsole(flags)
  const rows: string[][] = []
  for (const line of jsonLines(file)) {
    const plan = planLine(line, { folder: dirname(file) })
    output.object(plan)
    if (!output.json) rows.push(rowOf(plan, rows.length, output.paint))
  }
  const align = ['left', 'left', 'left', 'left', 'right', 'right', 'left'] as const
  output.result(renderTable(['id', 'model', 'gpus', 'status', 'time', 'memory', ''], align, rows, output.paint))
  return Promise.resolve(0)
}

/** Lines of a JSON Lines file; one that is no JSON comes as its text, which no request is. */
export function jsonLines(file: string): unknown[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw ioError(`read ${file}`, error)
  }
  const lines = text.split(/\r?\n/u).filter((line) => line.trim() !== '')
  return lines.map((line) => {
    try {
      return JSON.parse(line) as unknown
    } catch {
      return line
    }
  })
}

function rowOf(plan: TrainPlan | ServePlan, at: number, paint: Paint): string[] {
  const { model = '', gpus = '' } = plan.inputs
  const status = plan.status === 'ok' ? 'ok' : paint.bad(plan.status)
  const head = [plan.id ?? String(at + 1), String(model), String(gpus), status]
  if (plan.status === 'refused') return [...head, '', '', plan.reason ?? '']
  if (plan.schema === 'gristmill.plan.train/1') {
    const { time, memory } = plan
    return [...head, `${figure(time!.stepS.p50)} s`, gib(memory!.deviceGiB.p50), plan.reason ?? '']
  }
  const { throughput, memory } = plan
  const rate = throughput === undefined ? '' : `${figure(throughput.outputTokensPerS.p50)} tok/s`
  return [...head, rate, gib(memory!.weightsGiB + memory!.workspaceGiB), plan.reason ?? '']
}
