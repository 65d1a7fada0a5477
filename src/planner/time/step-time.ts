/**
 * Seconds of a whole training step in closed form: stages, pipeline, gradients, optimizer.
 *
 * The sum follows the critical path of the busiest pipeline rank. What each layer costs is `layer-time.ts`; how
 * ranks wait for each other is `pipeline-time.ts`; the exact replay is `pipeline-simulation.ts`.
 */
import type { Layout, TimeParts, TrainRequest } from '../types.js'
import type { Calibration } from './calibration.js'
import { groupOf, linksOf, sendSeconds } from './collectives.js'
import { gemmSeconds } from './gemm.js'
import { accumulationSeconds, gradientSeconds, optimizerSeconds, rankWeights } from './gradient-time.js'
import {
  addParts,
  layerSeconds,
  type LayerSeconds,
  NO_PARTS,
  type Parts,
  type Pricing,
  sumParts,
} from './layer-time.js'
import { machineOf } from './machine.js'
import { offloadSeconds } from './offload-time.js'
import { pipelineTime, type PipelineShape, type StageSeconds } from './pipeline-time.js'
import { presetOf } from './presets.js'
import { kindsOfStages } from './stages.js'

export interface StepTime {
  readonly stepS: number
  readonly parts: TimeParts
  /** Idle share of the pipeline, as Qi et al. define it: (cost − m(F+B+W)) / cost. */
  readonly bubbleRate: number
  readonly pipeline: PipelineShape
}

/** Seconds of one micro-batch on one pipeline rank, by cause. */
interface Stage {
  readonly forward: Parts
  readonly backwardInput: Parts
  readonly backwardWeight: Parts
  readonly loss: number
}

export function pricingOf(request: TrainRequest, layout: Layout, calibration: Calibration): Pricing {
  const preset = presetOf(request.software, request.numerics)
  return {
    request,
    layout,
    machine: machineOf(request.cluster, request.numerics.precision, calibration),
    links: linksOf(request.cluster, calibration),
    preset,
    calibration,
  }
}

/** Prices of layers by what they depend on: a search shares one over its layouts. */
export type LayerPrices = Map<string, readonly LayerSeconds[]>

/** `layout` stands in for the request's own. */
export function stepTime(
  request: TrainRequest,
  layout: Layout,
  calibration: Calibration,
  prices: LayerPrices = new Map(),
): StepTime {
  const pricing = pricingOf(request, layout, calibration)
  const stages = stagesOf(pricing, prices)
  const pipeline = pipelineOf(stages, pricing)
  const pipe = pipelineTime(pipeline)
  const busiest = busiestOf(pipeline)
  const stage = stages[busiest]!
  const weights = rankWeights(pricing, busiest)
  const { stretch } = calibration.framework[request.software.framework]
  const m = layout.microBatches
  const compute = { forward: pipeline.stages[busiest]!.forward, backward: backwardOf(pipeline.stages[busiest]!) }
  const dp = gradientSeconds(weights, compute, pricing)
  const optimizer = optimizerSeconds(weights, pricing)
  const offload = offloadSeconds(weights, compute, pricing)
  const sum = addParts(addParts(stage.forward, stage.backwardInput), stage.backwardWeight)
  const scale = m * stretch
  const parts: TimeParts = {
    gemm: sum.gemm * scale,
    attention: sum.attention * scale,
    elementwise: (sum.elementwise + accumulationSeconds(weights, pricing)) * scale + calibration.fixedS,
    loss: stage.loss * scale,
    tp: sum.tp * scale,
    cp: sum.cp * scale,
    ep: sum.ep * scale,
    ppComm: pipe.transfer * stretch,
    bubble: pipe.bubble * stretch,
    dp: dp * stretch,
    optimizer: optimizer * stretch,
    offload: offload * stretch,
  }
  const idle = pipe.bubble + pipe.transfer
  return {
    stepS: Object.values(parts).reduce((total, seconds: number) => total + seconds, 0),
    parts,
    bubbleRate: idle / pipe.total,
    pipeline,
  }
}

function backwardOf(stage: StageSeconds): number {
  return stage.backwardInput + stage.backwardWeight
}

function busiestOf({ stages }: PipelineShape): number {
  let best = 0
  for (const [index, stage] of stages.entries()) {
    if (lengthOf(stage) > lengthOf(stages[best]!)) best = index
  }
  return best
}

function lengthOf(stage: StageSeconds): number {
  return stage.forward + backwardOf(stage)
}

function pipelineOf(stages: readonly Stage[], { layout, links, request, machine }: Pricing): PipelineShape {
  const tokens = (layout.microBatch * request.work.seq) / layout.cp
  // Ranks of a tensor group each send their slice (Narayanan et al. 2021, section 4.1) and gather it beyond.
  const bytes = (tokens * request.model.hidden * machine.wideBytes) / layout.tp
  const stride = layout.tp * layout.cp * layout.dp
  const crosses =
    2 * stride > request.cluster.scaleUpGpus ||
    groupOf(layout.pp, stride, request.cluster.scaleUpGpus).inside < layout.pp
  return {
    schedule: layout.schedule,
    stages: stages.map((stage) => ({
      forward: sumParts(stage.forward) + stage.loss / 3,
      backwardInput: sumParts(stage.backwardInput) + stage.loss / 3,
      backwardWeight: sumParts(stage.backwardWeight) + stage.loss / 3,
    })),
    virtual: layout.schedule === 'interleaved' ? layout.vpp : 1,
    microBatches: layout.microBatches,
    transfer: layout.pp > 1 ? sendSeconds(bytes, crosses, links) : 0,
  }
}

function stagesOf(pricing: Pricing, prices: LayerPrices): Stage[] {
  const { request, layout } = pricing
  const { model } = request
  const { tp, cp, ep, etp, microBatch, sequenceParallel, overlap } = layout
  const key = `${tp} ${cp} ${ep} ${etp} ${microBatch} ${sequenceParallel} ${overlap.join()}`
  const priced = prices.get(key) ?? model.kinds.map((kind) => layerSeconds(kind, pricing))
  prices.set(key, priced)
  const counts = kindsOfStages(model, layout)
  return counts.map((kinds, rank) => {
    const stage = stageOf(kinds, priced, layout)
    const head = rank === layout.pp - 1 ? headSeconds(pricing) : { gemm: 0, loss: 0 }
    const embedded = rank === 0 ? embeddingSeconds(pricing) : 0
    return {
      forward: addParts(stage.forward, { ...NO_PARTS, gemm: head.gemm / 3, elementwise: embedded / 2 }),
      backwardInput: addParts(stage.backwardInput, { ...NO_PARTS, gemm: head.gemm / 3 }),
      backwardWeight: addParts(stage.backwardWeight, { ...NO_PARTS, gemm: head.gemm / 3, elementwise: embedded / 2 }),
      loss: head.loss,
    }
  })
}

function stageOf(kinds: readonly number[], priced: readonly LayerSeconds[], layout: Layout): Omit<Stage, 'loss'> {
  let forward = NO_PARTS
  let backwardInput = NO_PARTS
  let backwardWeight = NO_PARTS
  const layers = kinds.reduce((sum, count) => sum + count, 0)
  const share = recomputedShare(layout, layers)
  for (const [kind, count] of kinds.entries()) {
    const layer = priced[kind]!
    forward = addParts(forward, layer.forward, count)
    backwardInput = addParts(backwardInput, layer.backwardInput, count)
    backwardInput = addParts(backwardInput, layer.recompute[layout.recompute.kind], count * share)
    backwardWeight = addParts(backwardWeight, layer.backwardWeight, count)
  }
  return { forward, backwardInput, backwardWeight }
}

function recomputedShare({ recompute }: Layout, layers: number): number {
  if (recompute.kind !== 'full' || recompute.layers === null) return 1
  return Math.min(1, recompute.layers / Math.max(1, layers))
}

/** Traffic of the loss for each logit: bytes written and read by the chain from logits to their gradient. */
const LOSS_BYTES = { fused: 8, plain: 30 }

/** Output projection (three products) and cross entropy, both over this rank's part of the vocabulary. */
function headSeconds({ request, layout, machine }: Pricing): { gemm: number; loss: number } {
  const { model, work, numerics, trainable } = request
  const m = (layout.microBatch * work.seq) / layout.cp
  const n = Math.ceil(model.vocab / layout.tp)
  const k = model.hidden
  const format = { rate: machine.wideRate, bytes: machine.wideBytes }
  const product = (m: number, n: number, k: number): number => gemmSeconds({ m, n, k, groups: 1 }, format, machine)
  // Frameworks pad the vocabulary to whole tiles.
  const padded = Math.ceil(n / 64) * 64
  const weight = trainable.kind === 'all' ? product(k, padded, m) : 0
  const fused = numerics.fusedLoss || numerics.compile
  return {
    gemm: product(m, padded, k) + product(m, k, padded) + weight,
    loss: (m * n * (fused ? LOSS_BYTES.fused : LOSS_BYTES.plain)) / machine.memoryRate,
  }
}

/** Rows gathered, and their gradients scattered in FP32. */
function embeddingSeconds({ request, layout, machine }: Pricing): number {
  const tokens = (layout.microBatch * request.work.seq) / layout.cp
  return (tokens * request.model.hidden * (2 * machine.wideBytes + 8)) / machine.memoryRate
}
