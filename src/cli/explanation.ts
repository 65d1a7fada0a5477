/** The plan of a run, drawn. */
import { formatBinaryBytes, formatBytes, formatCount, formatDuration } from '../core/units.js'
import type { Explanation } from '../index.js'
import type { Paint } from './paint.js'
import { renderColumns } from './table.js'

export function renderExplanation(plan: Explanation, paint: Paint): string {
  const columns = plan.columns.map(({ name, type }) => `${name} ${paint.dim(type)}`).join(', ')
  return [
    paint.bold(plan.name),
    '',
    renderColumns([...facts(plan, paint), ['columns out', columns]], ['left', 'left']),
    ...plan.stages.flatMap((stage, at) => ['', ...renderStage(stage, at + 1, paint)]),
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

/** What the stage reads, does and writes, a line each. */
function renderStage(
  { name, tasks, steps, reads, writes }: Explanation['stages'][number],
  number: number,
  paint: Paint,
): string[] {
  const count = typeof tasks === 'number' ? formatCount(tasks) : tasks
  const lines = [
    [paint.dim('reads'), reads],
    ...steps.map((step) => [paint.accent(step.name), paint.dim(step.summary)]),
    [paint.dim('writes'), writes],
  ]
  return [
    `${paint.dim(`stage ${number}`)} ${paint.bold(name)} ${paint.dim(`tasks: ${count}`)}`,
    renderColumns(lines, ['left', 'left']),
  ]
}
