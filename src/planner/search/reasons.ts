/** Words for why a layout does not fit, loses or wins. */
import type { Quantity, Refusal, StageMemory, TimeParts, TrainMemory, TrainRequest } from '../types.js'

const PARTS_OF_MEMORY = {
  weightsGiB: 'weights',
  gradsGiB: 'gradients',
  optimizerGiB: 'optimizer states',
  activationsGiB: 'activations',
  lossGiB: 'logits',
  commGiB: 'communication buffers',
  workspaceGiB: 'workspace',
} as const satisfies Partial<Record<keyof StageMemory, string>>

/** `91.3 of 80 GiB on stage 0, activations bind`. */
export function memoryReason({ capacityGiB, worstStage, stages }: TrainMemory): string {
  const stage = stages[worstStage]!
  return `${stage.deviceGiB.toFixed(1)} of ${capacityGiB.toFixed(0)} GiB on stage ${worstStage}, ${binding(stage)} bind`
}

/** What takes most. */
function binding(stage: StageMemory): string {
  let most: keyof typeof PARTS_OF_MEMORY = 'weightsGiB'
  for (const part of Object.keys(PARTS_OF_MEMORY) as (keyof typeof PARTS_OF_MEMORY)[]) {
    if (stage[part] > stage[most]) most = part
  }
  return PARTS_OF_MEMORY[most]
}

export function doesNotFit({ layout, model, search, cluster }: TrainRequest, memory: TrainMemory): Refusal {
  const reason = memoryReason(memory)
  if (search) {
    const times = memory.stages[memory.worstStage]!.deviceGiB / memory.capacityGiB
    return {
      reason: `no layout fits; the nearest needs ${reason}`,
      suggestions: [`about ${Math.ceil(times) * cluster.gpus} GPUs`, '--offload optimizer', '--optimizer adam8bit'],
    }
  }
  const suggestions: string[] = []
  const bound = binding(memory.stages[memory.worstStage]!)
  const isState = bound === 'weights' || bound === 'gradients' || bound === 'optimizer states'
  if (!isState && layout.recompute.kind !== 'full') suggestions.push('--recompute full')
  if (!isState && layout.microBatch > 1) suggestions.push(`--micro-batch ${Math.max(1, layout.microBatch / 2)}`)
  if (isState && layout.dp > 1 && layout.sharding.kind !== 'zero3' && layout.sharding.kind !== 'fsdp') {
    suggestions.push('--sharding zero3')
  }
  if (isState && layout.pp < model.layerKinds.length) suggestions.push(`--pp ${layout.pp * 2}`)
  suggestions.push('leave out --no-search to look for a layout that fits')
  return { reason, suggestions }
}

const PARTS_OF_TIME: Readonly<Record<keyof TimeParts, string>> = {
  gemm: 'matrix products',
  attention: 'attention',
  elementwise: 'elementwise work',
  loss: 'loss',
  tp: 'tensor-parallel communication',
  ppComm: 'hand-overs between stages',
  bubble: 'pipeline bubbles',
  dp: 'data-parallel communication',
  cp: 'context-parallel communication',
  ep: 'expert dispatch',
  optimizer: 'optimizer',
  offload: 'offloading',
}

/** `12 % slower: 4.1 s of pipeline bubbles a step against 0.9 s`. */
export function slowerReason(slower: Timed, best: Timed): string {
  const share = slower.stepS / best.stepS - 1
  const percent = share < 0.01 ? 'less than 1' : (share * 100).toFixed(0)
  let most: keyof TimeParts = 'gemm'
  for (const part of Object.keys(PARTS_OF_TIME) as (keyof TimeParts)[]) {
    if (slower.parts[part] - best.parts[part] > slower.parts[most] - best.parts[most]) most = part
  }
  const [longer, shorter] = [seconds(slower.parts[most]), seconds(best.parts[most])]
  return `${percent} % slower: ${longer} of ${PARTS_OF_TIME[most]} a step against ${shorter}`
}

function seconds(value: number): string {
  return value >= 10
    ? `${value.toFixed(0)} s`
    : value >= 0.1
      ? `${value.toFixed(1)} s`
      : `${(value * 1000).toFixed(0)} ms`
}

export interface Timed {
  readonly stepS: number
  readonly parts: TimeParts
}

/** What a layout spends besides computing, largest first. */
export function whyRanked(rank: number, timed: Timed, best: Timed, device: Quantity, capacityGiB: number): string {
  const overhead = (['tp', 'ppComm', 'bubble', 'dp', 'cp', 'ep'] as const)
    .map((part) => [PARTS_OF_TIME[part], timed.parts[part] / timed.stepS] as const)
    .filter(([, share]) => share >= 0.005)
    .toSorted((a, b) => b[1] - a[1])
    .map(([name, share]) => `${name} ${(share * 100).toFixed(0)} %`)
  const spent = overhead.length === 0 ? 'no communication is exposed' : overhead.slice(0, 3).join(', ')
  const room = `${device.p50.toFixed(0)} of ${capacityGiB.toFixed(0)} GiB`
  return rank === 0 ? `fastest that fits: ${spent}; ${room}` : `${slowerReason(timed, best)}; ${room}`
}
