/** The plan of a run, drawn. */
import { formatBinaryBytes, formatBytes, formatCount, formatDuration } from '../core/units.js'
import type { Explanation } from '../index.js'
import type { Paint } from './paint.js'
import { renderColumns, renderTable } from './table.js'

export function renderExplanation(plan: Explanation, paint: Paint): string {
  const columns = plan.columns.map(({ name, type }) => `${name} ${paint.dim(type)}`).join(', ')
  return [
    paint.bold(plan.name),
    '',
    renderColumns([...facts(plan, paint), ['columns out', columns]], ['left', 'left']),
    '',
    renderTable(
      ['stage', 'tasks', 'reads', 'steps', 'writes'],
      ['left', 'right', 'left', 'left', 'left'],
      plan.stages.flatMap((stage) => stageRows(stage, paint)),
      paint,
    ),
    ...plan.warnings.flatMap((warning) => ['', `${paint.warn('warning')}: ${warning}`]),
  ].join('\n')
}

function facts({ inputs, workers, memory, disk, seconds }: Explanation, paint: Paint): [string, string][] {
  const about = paint.dim('about')
  const files = `${formatCount(inputs.files)} ${inputs.files === 1 ? 'file' : 'files'}`
  const decoded = inputs.decodedBytes === inputs.bytes ? '' : `, ${about} ${formatBytes(inputs.decodedBytes)} decoded`
  const fits = disk.peakScratchBytes + disk.outputBytes <= disk.freeBytes
  const free = `${formatBytes(disk.freeBytes)} free`
  return [
    ['input', `${files}, ${formatBytes(inputs.bytes)}${decoded}`],
    ['workers', String(workers)],
    [
      'memory',
      `${about} ${formatBinaryBytes(memory.expectedBytes)}; at least ${formatBinaryBytes(memory.minimumBytes)}, at most ${formatBinaryBytes(memory.budgetBytes)}`,
    ],
    [
      'disk',
      `${about} ${formatBytes(disk.outputBytes)} of output and ${formatBytes(disk.peakScratchBytes)} of scratch; ${fits ? free : paint.bad(`only ${free}`)}`,
    ],
    ['time', `${about} ${formatDuration(seconds.estimate)}`],
  ]
}

/** One row a step: the stage is named on its first. */
function stageRows(stage: Explanation['stages'][number], paint: Paint): string[][] {
  const tasks = typeof stage.tasks === 'number' ? formatCount(stage.tasks) : stage.tasks
  const steps = stage.steps.length === 0 ? [{ name: '', summary: '' }] : stage.steps
  return steps.map(({ name, summary }, at) => {
    const step = summary === '' ? name : `${name} ${paint.dim(summary)}`
    const last = at === steps.length - 1
    return at === 0
      ? [paint.accent(stage.name), tasks, stage.reads, step, last ? stage.writes : '']
      : ['', '', '', step, last ? stage.writes : '']
  })
}
