/**
 * Seconds of data parallelism and of the optimizer: gradients reduced, sharded weights gathered, states updated.
 */
import type { Layout, OptimizerName } from '../types.js'
import { collectiveSeconds, type Group, groupOf } from './collectives.js'
import { hidden, type Pricing } from './layer-time.js'
import { layerWork } from './layer-work.js'
import { kindsOfStages } from './stages.js'

/** Weights of one rank before sharding over data parallelism; experts are replicated less often than the rest. */
export interface RankWeights {
  readonly dense: number
  readonly experts: number
  /** Weights that are trained. */
  readonly trainableShare: number
  /** Weights of the largest layer: what sharded training gathers first, before anything can hide it. */
  readonly layer: number
}

export interface ComputeSeconds {
  /** One micro-batch on this rank. */
  readonly forward: number
  readonly backward: number
}

/** Counted from the products, which hold all weights but normalisations and biases. */
export function rankWeights({ request, layout, machine, preset }: Pricing, rank: number): RankWeights {
  const { model, trainable } = request
  const shape = { tokens: 1, layout, fusion: preset.fusion, bytes: machine.wideBytes, conversion: 'none' as const }
  const counts = kindsOfStages(model, layout)[rank]!
  let dense = 0
  let experts = 0
  let largest = 0
  let adapters = 0
  for (const [index, count] of counts.entries()) {
    const kind = model.kinds[index]!
    let layer = 0
    for (const { n, k, groups, routed } of layerWork(kind, model, shape).linears) {
      const weights = n * k * groups
      layer += weights
      if (routed) experts += weights * count
      else dense += weights * count
      if (trainable.kind !== 'all') adapters += trainable.rank * (n + k) * groups * count
    }
    if (count > 0) largest = Math.max(largest, layer)
  }
  const table = (model.vocab * model.hidden) / layout.tp
  if (rank === 0) dense += table
  if (rank === layout.pp - 1 && !(model.tiedEmbeddings && layout.pp === 1)) dense += table
  const all = dense + experts
  return { dense, experts, layer: largest, trainableShare: trainable.kind === 'all' ? 1 : adapters / all }
}

/** Share of the backward pass of the last micro-batch behind which gradients can hide: the first bucket must wait. */
const BACKWARD_WINDOW = 0.9

/**
 * Exposed seconds a step.
 *
 * - none: an all-reduce of the gradients behind the last micro-batch's backward pass.
 * - ZeRO-1 and 2: a reduce-scatter there and an all-gather of the weights in the next forward pass (Rajbhandari et
 *   al. 2020, arXiv:1910.02054, section 7); ZeRO-2 reduces in each micro-batch.
 * - ZeRO-3, FSDP: weights gathered in each forward and each backward pass, gradients reduced in each (ibid.; Zhao
 *   et al. 2023, arXiv:2304.11277), but once a step in a pipeline. HSDP reduces across its replicas besides.
 */
export function gradientSeconds(weights: RankWeights, compute: ComputeSeconds, pricing: Pricing): number {
  const { layout, request } = pricing
  const dense = groupOf(layout.dp * layout.cp, layout.tp, request.cluster.scaleUpGpus)
  const expertRanks = Math.max(1, (layout.dp * layout.cp * layout.tp) / (layout.ep * layout.etp))
  const experts = groupOf(expertRanks, layout.ep * layout.etp, request.cluster.scaleUpGpus)
  const exposed = exposure(compute, pricing)
  const sharded = layout.sharding.kind === 'zero3' || layout.sharding.kind === 'fsdp' || layout.sharding.kind === 'hsdp'
  const gather = sharded ? pricing.calibration.framework[request.software.framework].gather : 1
  const both = (kind: 'all-gather' | 'reduce-scatter' | 'all-reduce', bytes: number): number =>
    (collectiveSeconds(kind, weights.dense * bytes, dense, pricing.links) +
      collectiveSeconds(kind, weights.experts * bytes, experts, pricing.links)) /
    gather
  const { numerics } = request
  const gradBytes = (numerics.gradDtype === 'fp32' ? 4 : 2) * weights.trainableShare
  const weightBytes = numerics.precision === 'fp32' ? 4 : 2
  const m = synchronisations(layout)
  switch (layout.sharding.kind) {
    case 'none':
      return exposed.backward(both('all-reduce', gradBytes), 1)
    case 'zero1':
      return (
        exposed.backward(both('reduce-scatter', gradBytes), 1) +
        exposed.forward(both('all-gather', weightBytes * weights.trainableShare), 1)
      )
    case 'zero2':
      return (
        exposed.backward(both('reduce-scatter', gradBytes), m) +
        exposed.forward(both('all-gather', weightBytes * weights.trainableShare), 1)
      )
    case 'zero3':
    case 'fsdp':
      return shardedSeconds(weights, dense, exposed, pricing, both, gradBytes, weightBytes)
    case 'hsdp': {
      const group = groupOf(
        Math.min(layout.sharding.group, layout.dp * layout.cp),
        layout.tp,
        request.cluster.scaleUpGpus,
      )
      const replicas = groupOf(
        (layout.dp * layout.cp) / group.size,
        layout.tp * group.size,
        request.cluster.scaleUpGpus,
      )
      const inner: typeof both = (kind, bytes) =>
        collectiveSeconds(kind, (weights.dense + weights.experts) * bytes, group, pricing.links)
      const shard = ((weights.dense + weights.experts) * gradBytes) / group.size
      return (
        shardedSeconds(weights, group, exposed, pricing, inner, gradBytes, weightBytes) +
        exposed.backward(collectiveSeconds('all-reduce', shard, replicas, pricing.links), 1)
      )
    }
  }
}

/**
 * Adding a micro-batch's gradients to their sums: read both, write the sum. Fused, only the sum's extra width is
 * left, and sharded gradients are summed as shards.
 */
export function accumulationSeconds(weights: RankWeights, { layout, machine, preset, request }: Pricing): number {
  if (layout.microBatches === 1) return 0
  const sum = request.numerics.gradDtype === 'fp32' ? 4 : 2
  const sharded =
    layout.sharding.kind === 'zero3' || layout.sharding.kind === 'fsdp' || layout.sharding.kind === 'zero2'
  const share = sharded ? 1 / (layout.dp * layout.cp) : 1
  const bytes = preset.fusedAccumulation ? 2 * sum - 2 : 2 * sum + 4
  return ((weights.dense + weights.experts) * weights.trainableShare * bytes * share) / machine.memoryRate
}

/**
 * How often a step gathers weights and reduces gradients. In a pipeline once: weights stay whole and gradients are
 * summed through the step, as all that combine the two do (Llama 3, arXiv:2407.21783, section 3.3.2).
 */
function synchronisations({ pp, microBatches }: Pick<Layout, 'pp' | 'microBatches'>): number {
  return pp > 1 ? 1 : microBatches
}

interface Exposure {
  readonly forward: (seconds: number, times: number) => number
  readonly backward: (seconds: number, times: number) => number
}

/** What of a communication stays visible beside one micro-batch's pass, `times` micro-batches over. */
function exposure(compute: ComputeSeconds, { layout, calibration }: Pricing): Exposure {
  const overlap = layout.overlap.includes('dp')
  const beside = (behind: number) => (seconds: number, times: number) =>
    times * (overlap ? hidden(seconds, behind, calibration.overlapShare) : seconds)
  return { forward: beside(compute.forward), backward: beside(BACKWARD_WINDOW * compute.backward) }
}

function shardedSeconds(
  weights: RankWeights,
  group: Group,
  exposed: Exposure,
  { layout, links }: Pricing,
  both: (kind: 'all-gather' | 'reduce-scatter', bytes: number) => number,
  gradBytes: number,
  weightBytes: number,
): number {
  const gather = both('all-gather', weightBytes)
  const reduce = both('reduce-scatter', gradBytes)
  const first = collectiveSeconds('all-gather', weights.layer * weightBytes, group, links)
  return (
    first +
    exposed.forward(gather, synchronisations(layout)) +
    exposed.backward(gather + reduce, synchronisations(layout))
  )
}

/**
 * Bytes the optimizer reads and writes for a parameter besides gradient and weights: its states, twice.
 * AdamW, LAMB: two FP32 moments; Lion, Muon, SGD with momentum: one; 8-bit Adam: two bytes; Adafactor: vectors.
 */
const STATE_TRAFFIC: Readonly<Record<OptimizerName, number>> = {
  adamw: 16,
  lamb: 24,
  lion: 8,
  muon: 8,
  'sgd-momentum': 8,
  adam8bit: 4,
  adafactor: 8,
}

/** Operations a parameter for Muon's five Newton–Schulz iterations, three products of width `hidden` each. */
const MUON_PRODUCTS = 5 * 3 * 2

export function optimizerSeconds(weights: RankWeights, { layout, machine, request }: Pricing): number {
  const { numerics } = request
  const all = (weights.dense + weights.experts) * weights.trainableShare
  const shards = optimizerShards(layout.sharding.kind, layout)
  const share = layout.sharding.kind === 'hsdp' ? layout.sharding.group : shards
  const gradient = numerics.gradDtype === 'fp32' ? 4 : 2
  // The norm for clipping reads the gradient once more, and clearing it writes it.
  const traffic = STATE_TRAFFIC[numerics.optimizer] + 3 * gradient + (numerics.master ? 8 : 2) + 2
  const muon = numerics.optimizer === 'muon' ? (all * MUON_PRODUCTS * request.model.hidden) / machine.wideRate : 0
  if (layout.offload === 'optimizer') return 0
  return ((all * traffic) / machine.memoryRate + muon) / Math.max(1, share)
}

function optimizerShards(kind: string, { dp, cp }: { readonly dp: number; readonly cp: number }): number {
  return kind === 'none' ? 1 : dp * cp
}
