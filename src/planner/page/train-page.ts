/** The page of a training plan: memory of each stage, the step's time, the schedule, the map of layouts. */
import { html, type Markup, nothing } from '../../core/page/html.js'
import { section, table } from '../../core/page/parts.js'
import { formatCount, formatShortCount } from '../../core/units.js'
import type { StageMemory, TimeParts, TrainPlan } from '../types.js'
import type { Drawings } from './drawings.js'
import { figure, gib, interval, layoutText, percent } from './figures.js'
import { layoutMap } from './layout-map.js'
import { advice, background, head, stackedBars, type Swatch, type Tile, tiles } from './parts.js'
import { timeline } from './timeline.js'

/** Bars drawn; stages between the first and last are alike. */
const MOST_BARS = 16

export function trainPage(plan: TrainPlan, { schedule, map }: Drawings): Markup {
  return html`${head(plan, `${layoutText(plan.inputs)}; training`)}${trainTiles(plan)}${memory(plan)}${time(plan)}
    ${schedule === undefined ? nothing : timeline(schedule, plan)}
    ${map === undefined || map.length < 2 ? nothing : layoutMap(map)}${search(plan)}${advice(plan)}${background(plan)}
    <footer>GiB is 2³⁰ bytes, TFLOP 10¹² operations. Intervals hold 80 % of runs.</footer>`
}

function trainTiles({ time: step, throughput, memory: plan, params, total }: TrainPlan): Markup {
  if (step === undefined || throughput === undefined || plan === undefined || params === undefined) return nothing
  const list: Tile[] = [
    { title: 'A training step', value: `${figure(step.stepS.p50)} s`, note: interval(step.stepS, 's') },
    {
      title: 'Tokens a second',
      value: figure(throughput.tokensPerS.p50),
      note: `${figure(throughput.tokensPerSPerGpu.p50)} a GPU`,
    },
    {
      title: 'MFU',
      value: percent(throughput.mfu.p50),
      note: `80 %: ${percent(throughput.mfu.lo80)} to ${percent(throughput.mfu.hi80)}; HFU ${percent(throughput.hfu.p50)}`,
    },
    {
      title: 'Memory of the fullest GPU',
      value: gib(plan.deviceGiB.p50),
      note: `of ${gib(plan.capacityGiB)}; 80 %: ${figure(plan.deviceGiB.lo80)} to ${figure(plan.deviceGiB.hi80)}`,
    },
    {
      title: 'Parameters',
      value: formatShortCount(params.total),
      note: params.active === params.total ? formatCount(params.total) : `${formatShortCount(params.active)} active`,
    },
  ]
  if (total !== undefined && total !== null)
    list.push({
      title: 'The whole training',
      value: `${figure(total.days)} days`,
      note: `${formatCount(total.gpuHours)} GPU hours${total.cost === null ? '' : `, ${formatCount(total.cost)} USD`}`,
    })
  return tiles(list)
}

const MEMORY: readonly (Swatch & { readonly of: (stage: StageMemory) => number })[] = [
  { colour: 's2', name: 'weights', of: (stage) => stage.weightsGiB },
  { colour: 's7', name: 'gradients', of: (stage) => stage.gradsGiB },
  { colour: 's3', name: 'optimizer', of: (stage) => stage.optimizerGiB },
  { colour: 's1', name: 'activations', of: (stage) => stage.activationsGiB },
  { colour: 's4', name: 'logits and loss', of: (stage) => stage.lossGiB },
  { colour: 's6', name: 'communication', of: (stage) => stage.commGiB },
  { colour: 's8', name: 'workspace', of: (stage) => stage.workspaceGiB },
  { colour: 'wait', name: 'reserved by the allocator', of: (stage) => stage.reservedGiB - stage.allocatedGiB },
  { colour: 'idle', name: 'context and libraries', of: (stage) => stage.deviceGiB - stage.reservedGiB },
]

function memory({ memory: plan }: TrainPlan): Markup {
  if (plan === undefined) return nothing
  const { stages, capacityGiB, worstStage } = plan
  const shown =
    stages.length <= MOST_BARS ? stages : [...stages.slice(0, MOST_BARS / 2), ...stages.slice(-MOST_BARS / 2)]
  const bars = shown.map((stage) => ({
    name: stages.length === 1 ? 'each GPU' : `stage ${stage.stage}`,
    lengths: MEMORY.map(({ of }) => of(stage)),
    label: gib(stage.deviceGiB),
    over: stage.deviceGiB > capacityGiB,
  }))
  const worst = stages[worstStage]
  const exact = table(
    'Memory of each stage in GiB',
    [
      { title: 'Stage', kind: 'name' },
      ...MEMORY.slice(0, 7).map(({ name }) => ({ title: name, kind: 'number' as const })),
      { title: 'device', kind: 'number' },
      { title: 'peak at', kind: 'text' },
    ],
    stages.map((stage) => ({
      cells: [
        String(stage.stage),
        ...MEMORY.slice(0, 7).map(({ of }) => of(stage).toFixed(2)),
        stage.deviceGiB.toFixed(2),
        stage.peakAt,
      ],
      strong: stage.stage === worstStage,
    })),
  )
  return section(
    'Memory of a GPU by stage',
    `At the peak, which is in ${worst?.peakAt ?? 'the step'} of stage ${worstStage}; the dashed line is the capacity of ${gib(capacityGiB)}.`,
    html`${stackedBars(MEMORY, bars, capacityGiB)}
      <details>
        <summary>Exact values</summary>
        ${exact}
      </details>`,
  )
}

const TIME: readonly (Swatch & { readonly part: keyof TimeParts })[] = [
  { colour: 's1', name: 'matrix products', part: 'gemm' },
  { colour: 's2', name: 'attention', part: 'attention' },
  { colour: 's5', name: 'elementwise', part: 'elementwise' },
  { colour: 's4', name: 'logits and loss', part: 'loss' },
  { colour: 's3', name: 'tensor parallel', part: 'tp' },
  { colour: 's7', name: 'between stages', part: 'ppComm' },
  { colour: 'idle', name: 'bubble', part: 'bubble' },
  { colour: 's6', name: 'data parallel', part: 'dp' },
  { colour: 's8', name: 'context parallel', part: 'cp' },
  { colour: 'strong', name: 'expert parallel', part: 'ep' },
  { colour: 'wait', name: 'optimizer', part: 'optimizer' },
  { colour: 'quiet', name: 'offload', part: 'offload' },
]

function time({ time: step }: TrainPlan): Markup {
  if (step === undefined) return nothing
  const whole = Object.values(step.parts).reduce((sum: number, part: number) => sum + part, 0)
  const rows = TIME.filter(({ part }) => step.parts[part] > 0)
    .toSorted((a, b) => step.parts[b.part] - step.parts[a.part])
    .map(({ name, part }) => ({
      cells: [name, `${figure(step.parts[part])} s`, percent(step.parts[part] / whole), step.parts[part] / whole],
    }))
  return section(
    'Where the time of a step goes',
    'On the critical path: communication that is hidden behind computation does not count.',
    html`${stackedBars(TIME, [
      { name: 'step', lengths: TIME.map(({ part }) => step.parts[part]), label: `${figure(step.stepS.p50)} s` },
    ])}
    ${table(
      'Parts of a training step',
      [
        { title: 'Part', kind: 'name' },
        { title: 'Time', kind: 'number' },
        { title: 'Share', kind: 'number' },
        { title: '', kind: 'bar' },
      ],
      rows,
    )}`,
  )
}

function search({ search: found }: TrainPlan): Markup {
  if (found === undefined) return nothing
  const best = found.best.map(({ layout, stepS, deviceGiB, mfu, why }, rank) => ({
    cells: [layoutText(layout), `${figure(stepS.p50)} s`, percent(mfu.p50), gib(deviceGiB.p50), why],
    strong: rank === 0,
  }))
  const rejected = found.rejected.map(({ layout, reason }) => ({ cells: [layoutText(layout), reason] }))
  return section(
    'Layouts',
    `The best of ${formatCount(found.considered)} layouts, each replayed event by event.`,
    html`${table(
      'Best layouts',
      [
        { title: 'Layout', kind: 'name' },
        { title: 'Step', kind: 'number' },
        { title: 'MFU', kind: 'number' },
        { title: 'Device', kind: 'number' },
        { title: 'Why', kind: 'text' },
      ],
      best,
    )}${
      rejected.length === 0
        ? nothing
        : html`<h2 style="margin-top:1.2rem">Why not its neighbours</h2>
            ${table(
              'Rejected layouts',
              [
                { title: 'Layout', kind: 'name' },
                { title: 'Reason', kind: 'text' },
              ],
              rejected,
              8,
            )}`
    }`,
  )
}
