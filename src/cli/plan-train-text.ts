/** A training plan as text. */
import { formatCount, formatShortCount } from '../core/units.js'
import type { TimeParts, TrainPlan } from '../planner/index.js'
import type { Console } from './console.js'
import type { Paint } from './paint.js'
import { figure, gib, layoutText, percent, percentQuantity, quantity } from '../planner/page/figures.js'
import { advice, block, heading, notes } from './plan-text.js'
import { renderTable } from './table.js'

/** Stages and rejected layouts shown; `--json` has all. */
const SHOWN_STAGES = 8
const SHOWN_REJECTED = 5

const PARTS: Readonly<Record<keyof TimeParts, string>> = {
  gemm: 'matrix products',
  attention: 'attention',
  elementwise: 'elementwise',
  loss: 'logits and loss',
  tp: 'tensor parallel',
  ppComm: 'between stages',
  bubble: 'pipeline bubble',
  dp: 'data parallel',
  cp: 'context parallel',
  ep: 'expert parallel',
  optimizer: 'optimizer',
  offload: 'offload',
}

export function renderTrainPlan(plan: TrainPlan, { paint }: Console, explain: boolean): string {
  const parts = [heading(plan, paint), layoutText(plan.inputs)]
  parts.push(speed(plan, paint), memory(plan, paint), timeParts(plan, paint), total(plan, paint))
  parts.push(search(plan, paint), advice(plan, paint))
  return [...parts.filter((part) => part !== ''), ...notes(plan, explain, paint)].join('\n\n')
}

function speed({ time, throughput, params, flops, dataMBs }: TrainPlan, paint: Paint): string {
  if (time === undefined || throughput === undefined) return ''
  return block(
    'a training step (80 % interval in brackets)',
    [
      ['time', quantity(time.stepS, 's')],
      ['tokens a second', quantity(throughput.tokensPerS, '')],
      ['per GPU', quantity(throughput.tokensPerSPerGpu, '')],
      ['model TFLOP/s per GPU', quantity(throughput.modelTflopsPerGpu, '')],
      ['MFU', percentQuantity(throughput.mfu)],
      ['HFU', percentQuantity(throughput.hfu)],
      ['bubble', percent(time.bubbleRate)],
      ...(params === undefined
        ? []
        : [['parameters', `${formatShortCount(params.total)} (${formatShortCount(params.active)} active)`] as const]),
      ...(flops === undefined ? [] : [['MFU counts', flops.convention] as const]),
      ...(dataMBs === undefined ? [] : [['input rate', `${figure(dataMBs)} MB/s of token ids`] as const]),
    ],
    paint,
  )
}

function memory({ memory: plan }: TrainPlan, paint: Paint): string {
  if (plan === undefined) return ''
  const shown = plan.stages.slice(0, SHOWN_STAGES)
  const rows = shown.map((stage) => {
    const numbers = [
      stage.weightsGiB,
      stage.gradsGiB,
      stage.optimizerGiB,
      stage.activationsGiB,
      stage.lossGiB,
      stage.commGiB + stage.workspaceGiB,
      stage.allocatedGiB,
      stage.reservedGiB,
      stage.deviceGiB,
    ]
    const over = stage.deviceGiB > plan.capacityGiB
    const cells = [String(stage.stage), ...numbers.map((number) => number.toFixed(1))]
    return over ? cells.map((cell) => paint.bad(cell)) : cells
  })
  const more = plan.stages.length > shown.length ? `\n  and ${plan.stages.length - shown.length} more stages` : ''
  const headings = [
    'stage',
    'weights',
    'grads',
    'optimizer',
    'activations',
    'loss',
    'other',
    'allocated',
    'reserved',
    'device',
  ]
  const table = renderTable(
    headings,
    headings.map(() => 'right' as const),
    rows,
    paint,
  )
  const worst = plan.stages.find(({ stage }) => stage === plan.worstStage)
  const peak = worst === undefined ? '' : `; the peak is in ${worst.peakAt}`
  return `${paint.accent(`memory in GiB, of ${gib(plan.capacityGiB)} a GPU${peak}`)}\n${table}${more}`
}

function timeParts({ time }: TrainPlan, paint: Paint): string {
  if (time === undefined) return ''
  const all = Object.entries(time.parts) as [keyof TimeParts, number][]
  const whole = all.reduce((sum, [, seconds]) => sum + seconds, 0)
  const rows = all
    .filter(([, seconds]) => seconds > whole / 1000)
    .sort(([, a], [, b]) => b - a)
    .map(([name, seconds]) => [PARTS[name], `${figure(seconds)} s`, percent(seconds / whole)])
  return renderTable(['where the time goes', '', ''], ['left', 'right', 'right'], rows, paint)
}

function total({ total: sum = null }: TrainPlan, paint: Paint): string {
  if (sum === null) return ''
  return block(
    'the whole training',
    [
      ['days', figure(sum.days)],
      ['GPU hours', formatCount(sum.gpuHours)],
      ...(sum.cost === null ? [] : [['cost', `${formatCount(sum.cost)} USD`] as const]),
    ],
    paint,
  )
}

function search({ search: found }: TrainPlan, paint: Paint): string {
  if (found === undefined) return ''
  const rows = found.best.map(({ layout, stepS, deviceGiB, mfu, why }) => [
    layoutText(layout),
    `${figure(stepS.p50)} s`,
    percent(mfu.p50),
    gib(deviceGiB.p50),
    why,
  ])
  const best = renderTable(
    [`best of ${formatCount(found.considered)} layouts`, 'step', 'MFU', 'device', ''],
    ['left', 'right', 'right', 'right', 'left'],
    rows,
    paint,
  )
  const rejected = found.rejected.slice(0, SHOWN_REJECTED).map(({ reason }) => `  ${paint.dim(reason)}`)
  return rejected.length === 0 ? best : `${best}\n${paint.accent('why not')}\n${rejected.join('\n')}`
}
