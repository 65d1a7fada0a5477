/**
 * Seconds of one layer on one rank for one micro-batch, by cause: `layer-work.ts` priced on a `Machine`.
 */
import type { LayerKind, Layout, TrainRequest } from '../types.js'
import { attentionSeconds } from './attention-time.js'
import type { Calibration } from './calibration.js'
import { collectiveSeconds, groupOf, type Links } from './collectives.js'
import { type GemmFormat, gemmSeconds } from './gemm.js'
import { layerWork, type Linear, type LayerWork } from './layer-work.js'
import type { Machine } from './machine.js'
import type { Preset } from './presets.js'

/** Seconds by cause. Communication is what stays exposed. */
export interface Parts {
  readonly gemm: number
  readonly attention: number
  readonly elementwise: number
  readonly tp: number
  readonly cp: number
  readonly ep: number
}

export const NO_PARTS: Parts = { gemm: 0, attention: 0, elementwise: 0, tp: 0, cp: 0, ep: 0 }

export interface LayerSeconds {
  readonly forward: Parts
  readonly backwardInput: Parts
  readonly backwardWeight: Parts
  /** What recomputing this layer in the backward pass adds, in each mode. */
  readonly recompute: { readonly none: Parts; readonly selective: Parts; readonly full: Parts }
}

/** Everything the price of a layer depends on besides the layer. */
export interface Pricing {
  readonly request: TrainRequest
  readonly layout: Layout
  readonly machine: Machine
  readonly links: Links
  readonly preset: Preset
  readonly calibration: Calibration
}

export function addParts(a: Parts, b: Parts, times = 1): Parts {
  return {
    gemm: a.gemm + b.gemm * times,
    attention: a.attention + b.attention * times,
    elementwise: a.elementwise + b.elementwise * times,
    tp: a.tp + b.tp * times,
    cp: a.cp + b.cp * times,
    ep: a.ep + b.ep * times,
  }
}

export function sumParts(parts: Parts): number {
  return parts.gemm + parts.attention + parts.elementwise + parts.tp + parts.cp + parts.ep
}

export function layerSeconds(kind: LayerKind, pricing: Pricing): LayerSeconds {
  const { request, layout, machine, preset, calibration } = pricing
  const { model, numerics, work: load } = request
  const tokens = (layout.microBatch * load.seq) / layout.cp
  const work = layerWork(kind, model, {
    tokens,
    layout,
    fusion: preset.fusion,
    bytes: machine.wideBytes,
    conversion:
      numerics.precision === 'fp8' || numerics.precision === 'mxfp8' || numerics.precision === 'nvfp4'
        ? numerics.precision
        : 'none',
  })
  const attention = attentionSeconds(
    {
      attention: kind.attention,
      model,
      sequences: layout.microBatch,
      seq: load.seq,
      queries: load.seq / layout.cp,
      tp: layout.tp,
    },
    numerics.attention,
    machine,
    calibration.shares[machine.architecture].flash[preset.flash],
  )
  const products = productSeconds(work.linears, pricing)
  const streams = streamSeconds(work, kind, pricing)
  const messages = messageSeconds(work, kind, pricing, products.forward, attention)
  const hostFloor = hostSeconds(work, kind, pricing)
  const forward = atLeast(
    { gemm: products.forward, attention: attention.forward, elementwise: streams.forward, ...messages.forward },
    hostFloor,
  )
  const backwardInput = atLeast(
    { gemm: products.input, attention: attention.backward, elementwise: streams.backward, ...messages.backward },
    1.5 * hostFloor,
  )
  const backwardWeight = { ...NO_PARTS, gemm: products.weight }
  return { forward, backwardInput, backwardWeight, recompute: recomputed(forward, attention.forward, pricing) }
}

/** The host cannot start kernels faster; what the GPU waits is booked as elementwise, which is many small kernels. */
function atLeast(parts: Parts, floor: number): Parts {
  const short = floor - sumParts(parts)
  return short > 0 ? { ...parts, elementwise: parts.elementwise + short } : parts
}

function hostSeconds(work: LayerWork, kind: LayerKind, { preset, machine, calibration }: Pricing): number {
  if (preset.graphs) return 0
  const experts = kind.mlp.kind === 'experts' ? calibration.experts.hostMs * 1e-3 : 0
  return work.kernels * machine.launchS + experts
}

function recomputed(forward: Parts, core: number, { preset }: Pricing): LayerSeconds['recompute'] {
  // The second reduction of a layer and its last product feed nothing that is needed again.
  const full = forward
  const selective =
    preset.selective === 'core'
      ? { ...NO_PARTS, attention: core }
      : { ...NO_PARTS, gemm: forward.gemm / 2, elementwise: forward.elementwise }
  return { none: NO_PARTS, selective, full }
}

interface ProductSeconds {
  readonly forward: number
  readonly input: number
  readonly weight: number
}

/**
 * Forward C = A·B, and backward dA = dC·Bᵀ and dB = Aᵀ·dC: the same operations in other shapes. Frozen weights
 * (LoRA) have no dB, but the adapters' narrow products stream every activation twice more.
 */
function productSeconds(linears: readonly Linear[], { request, machine }: Pricing): ProductSeconds {
  const frozen = request.trainable.kind !== 'all'
  const narrow = narrowFormat(request, machine)
  const wide = { rate: machine.wideRate, bytes: machine.wideBytes }
  const seconds = { forward: 0, input: 0, weight: 0 }
  for (const linear of linears) {
    const { m, n, k, groups } = linear
    const format = linear.wide ? wide : narrow
    seconds.forward += gemmSeconds(linear, format, machine)
    seconds.input += gemmSeconds({ m, n: k, k: n, groups }, format, machine)
    if (!frozen) {
      seconds.weight += gemmSeconds({ m: k, n, k: m, groups }, format, machine)
      continue
    }
    const adapter = (m * groups * (k + 2 * n) * machine.wideBytes) / machine.memoryRate
    seconds.forward += adapter
    seconds.input += adapter
    seconds.weight += adapter / 2
  }
  return seconds
}

function narrowFormat({ numerics }: TrainRequest, machine: Machine): GemmFormat {
  switch (numerics.precision) {
    case 'fp8':
    case 'mxfp8':
      return { rate: machine.gemmRate, bytes: 1 }
    case 'nvfp4':
      return { rate: machine.gemmRate, bytes: 0.5 }
    case 'fp32':
      return { rate: machine.gemmRate, bytes: 4 }
    case 'bf16':
    case 'fp16':
      return { rate: machine.gemmRate, bytes: 2 }
  }
}

function streamSeconds(
  work: LayerWork,
  kind: LayerKind,
  { machine, preset, calibration }: Pricing,
): { forward: number; backward: number } {
  const { fused, unfused } = calibration.experts.traffic
  const experts = kind.mlp.kind === 'experts' ? (preset.fusedExperts ? fused : unfused) : 1
  return {
    forward: (work.streamed.forward * experts + work.converted.forward) / machine.memoryRate,
    backward: (work.streamed.backward * experts + work.converted.backward) / machine.memoryRate,
  }
}

type Messages = Pick<Parts, 'tp' | 'cp' | 'ep'>

function messageSeconds(
  work: LayerWork,
  kind: LayerKind,
  pricing: Pricing,
  products: number,
  attention: { readonly forward: number; readonly backward: number },
): { forward: Messages; backward: Messages } {
  const tp = tensorSeconds(work, kind, pricing)
  const cp = contextSeconds(kind, pricing)
  const ep = dispatchSeconds(work, kind, pricing)
  const hide = (name: 'tp' | 'cp' | 'ep', seconds: number, behind: number): number =>
    pricing.layout.overlap.includes(name) ? hidden(seconds, behind, pricing.calibration.overlapShare) : seconds
  return {
    forward: {
      tp: hide('tp', tp, products),
      cp: hide('cp', cp, attention.forward),
      ep: hide('ep', ep, products),
    },
    backward: {
      tp: hide('tp', tp, 2 * products),
      cp: hide('cp', 2 * cp, attention.backward),
      ep: hide('ep', ep, 2 * products),
    },
  }
}

/** Exposed part of a communication that runs beside `behind` seconds of compute. */
export function hidden(seconds: number, behind: number, share: number): number {
  return seconds - Math.min(seconds, behind) * share
}

/**
 * An all-reduce behind each half of the layer, or, under sequence parallelism, an all-gather before and a
 * reduce-scatter behind it: the same bytes (Korthikanti et al. 2022, arXiv:2205.05198, section 4.2.2). Experts that
 * are not themselves cut have none: their tokens are dispatched instead.
 */
function tensorSeconds(work: LayerWork, kind: LayerKind, { layout, links, request }: Pricing): number {
  if (layout.tp === 1) return 0
  const cutExperts = kind.mlp.kind === 'experts' && layout.etp === 1 ? 1 : 2
  const halves = request.model.parallelBlocks ? 1 : cutExperts
  const group = groupOf(layout.tp, 1, request.cluster.scaleUpGpus)
  if (!layout.sequenceParallel) return halves * collectiveSeconds('all-reduce', work.tpBytes, group, links)
  return (
    halves *
    (collectiveSeconds('all-gather', work.tpBytes, group, links) +
      collectiveSeconds('reduce-scatter', work.tpBytes, group, links))
  )
}

/** Ring attention: each rank passes its keys and values once around (Liu et al. 2023, arXiv:2310.01889). */
function contextSeconds(kind: LayerKind, { layout, links, machine, request }: Pricing): number {
  if (layout.cp === 1) return 0
  const { attention } = kind
  const tokens = layout.microBatch * request.work.seq
  const width =
    attention.kind === 'grouped'
      ? (2 * Math.max(attention.kvHeads, layout.tp) * attention.headDim) / layout.tp
      : (attention.heads * (attention.qkNopeHeadDim + attention.qkRopeHeadDim + attention.vHeadDim)) / layout.tp
  const group = groupOf(layout.cp, layout.tp, request.cluster.scaleUpGpus)
  return collectiveSeconds('all-gather', tokens * width * machine.wideBytes, group, links)
}

/** Dispatch and combine; a deduplicated one sends a token once to each node that has one of its experts. */
function dispatchSeconds(work: LayerWork, kind: LayerKind, { layout, links, preset, request }: Pricing): number {
  if (!work.routed || layout.ep === 1 || kind.mlp.kind !== 'experts') return 0
  const group = groupOf(layout.ep, layout.etp, request.cluster.scaleUpGpus)
  const within = collectiveSeconds('all-to-all', work.dispatchBytes, group, links)
  if (!preset.dedupedDispatch || group.inside >= group.size) return 2 * within
  const domains = group.size / group.inside
  const copies = domains * (1 - (1 - 1 / domains) ** kind.mlp.topK)
  const across = ((work.dispatchBytes / kind.mlp.topK) * copies * (1 - 1 / domains)) / links.outside
  const inside = (work.dispatchBytes * (group.inside - 1)) / group.inside / links.inside
  return 2 * (Math.max(across, inside) + 4 * (links.insideHop + links.outsideHop))
}
