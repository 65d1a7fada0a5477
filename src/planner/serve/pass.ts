/**
 * Time of one forward pass through the whole model: a roofline for each kind of work, summed.
 *
 * A pass mixes `decode` requests, each with one new token over a context, and `prefill` tokens of prompts. Linear
 * layers run over both at once (Orca, OSDI 2022, selective batching), so weights are read once; attention runs apart.
 * Roofline: Williams et al. 2009; the split into weights, cache and compute follows Pope et al., arXiv:2211.05102 §2.
 */
import type { Gpu, LayerKind, PeakDtype, ServeRequest, WeightDtype } from '../types.js'
import { keptTokens, kvNumbers, KV_BYTES, layerMatrices, overLayers, WEIGHT_BYTES } from './matrices.js'
import { kvBytesOfRequest } from './memory.js'
import { servingConstants } from './presets.js'

/** What one pass of one replica works on. */
export interface Pass {
  readonly decode: number
  /** Tokens before the new one, on average. */
  readonly context: number
  readonly prefill: number
  /** Length of the prompts the prefill tokens belong to, and prompts finished in this pass. */
  readonly prompt: number
  readonly finished: number
}

/** Seconds of one pass by what they are spent on. */
export interface PassParts {
  /** Linear layers where arithmetic bounds them. */
  readonly compute: number
  /** Linear layers where reading weights bounds them, and elementwise work. */
  readonly weights: number
  /** Attention of prompts. */
  readonly promptAttention: number
  /** Reading keys and values. */
  readonly cache: number
  readonly communication: number
  /** Gaps between kernels and the host's share. */
  readonly overhead: number
}

export const seconds = (parts: PassParts): number => Object.values(parts).reduce((sum, part) => sum + part, 0)

/** Kernels of one layer in a serving engine: norms, projections, rotation, attention, activation, sums. */
const KERNELS_PER_LAYER = 9
/** Routing, dispatch and combination of experts. */
const EXPERT_KERNELS = 6

/** The format linear layers are computed in, and whether weights are unpacked to it. */
export function computeFormat(gpu: Gpu, weights: WeightDtype): { dtype: PeakDtype; weightOnly: boolean } {
  const wide: PeakDtype = gpu.peakTflops.bf16 === undefined ? 'fp16' : 'bf16'
  if (weights === 'bf16') return { dtype: wide, weightOnly: false }
  // Four-bit integers are unpacked to 16 bits: no tensor core since Ampere multiplies them.
  const narrow = weights === 'int4' ? undefined : gpu.peakTflops[weights]
  const faster = narrow !== undefined && narrow > (gpu.peakTflops[wide] ?? 0)
  return faster ? { dtype: weights as PeakDtype, weightOnly: false } : { dtype: wide, weightOnly: true }
}

function flopsPerSecond(gpu: Gpu, { dtype, weightOnly }: { dtype: PeakDtype; weightOnly: boolean }): number {
  const { gemmShareOfPeak, weightOnlyShare } = servingConstants()
  const peak = gpu.peakTflops[dtype] ?? gpu.peakTflops.fp32 ?? 0
  return peak * 1e12 * gemmShareOfPeak.values[dtype] * (weightOnly ? weightOnlyShare.value : 1)
}

/** Parts of one pass on the critical path of a replica. */
export function passParts(request: ServeRequest, pass: Pass): PassParts {
  const { cluster, layout, model, weights, framework } = request
  const { gpu } = cluster
  const shares = servingConstants()
  const hbm = gpu.hbmGbs * 1e9
  const tokens = pass.decode + pass.prefill
  const linear = linearTime(request, tokens)
  const head = headTime(request, pass.decode + pass.finished)
  const kernels = overLayers(model, (kind) => KERNELS_PER_LAYER + (kind.mlp.kind === 'experts' ? EXPERT_KERNELS : 0))
  const preset = shares.frameworks[framework]
  const elementwise =
    (overLayers(model, (kind) => elementwiseBytes(model.hidden, kind, layout.tp, weights)) * tokens) /
    (hbm * shares.elementwiseBandwidthShare.value)
  const cache =
    (pass.decode * kvBytesOfRequest(request, pass.context) * layout.pp) / (hbm * shares.kvBandwidthShare.value)
  return {
    compute: linear.compute + head.compute,
    weights: linear.weights + head.weights + elementwise,
    promptAttention: promptAttention(request, pass),
    cache: cache + latentDecode(request, pass),
    communication: communication(request, tokens),
    overhead:
      (kernels * shares.kernelGapUs.value) / 1e6 +
      preset.hostStepMs / 1e3 +
      ((pass.decode + pass.finished) * preset.hostRequestUs) / 1e6,
  }
}

interface Bound {
  readonly compute: number
  readonly weights: number
}

/** The larger of arithmetic and reading, on the side that bounds. */
const bounded = (compute: number, weights: number): Bound =>
  compute >= weights ? { compute, weights: 0 } : { compute: 0, weights }

function linearTime(request: ServeRequest, tokens: number): Bound {
  const { cluster, layout, model, weights } = request
  const rate = flopsPerSecond(cluster.gpu, computeFormat(cluster.gpu, weights))
  const bytes = cluster.gpu.hbmGbs * 1e9 * servingConstants().weightBandwidthShare.value
  const ranks = Math.max(layout.ep, layout.tp)
  const sums = { compute: 0, weights: 0 }
  const perKind = model.kinds.map((kind) => {
    const { attention, mlp, expert, experts, topK } = layerMatrices(model, kind)
    const dense = (attention + mlp) / layout.tp
    const shared = bounded((2 * tokens * dense) / rate, (dense * WEIGHT_BYTES[weights]) / bytes)
    if (experts === 0) return shared
    // Expert ranks hold tokens of all the ranks they are spread over.
    const all = (tokens * Math.max(layout.ep, layout.tp)) / layout.tp
    const read = (expertsTouched(experts, topK, all) * expert) / ranks
    const routed = bounded((2 * all * topK * expert) / ranks / rate, (read * WEIGHT_BYTES[weights]) / bytes)
    return { compute: shared.compute + routed.compute, weights: shared.weights + routed.weights }
  })
  for (const kind of model.layerKinds) {
    sums.compute += perKind[kind]!.compute
    sums.weights += perKind[kind]!.weights
  }
  return sums
}

/** Expected number of distinct experts that `tokens` tokens visit under uniform routing. */
export function expertsTouched(experts: number, topK: number, tokens: number): number {
  return experts * (1 - (1 - topK / experts) ** tokens)
}

/** The output projection runs in 16 bits over tokens that are sampled; logits are then read in 32 bits. */
function headTime({ cluster, layout, model }: ServeRequest, sampled: number): Bound {
  const { gpu } = cluster
  const shares = servingConstants()
  const wide = computeFormat(gpu, 'bf16')
  const matrix = (model.vocab * model.hidden) / layout.tp
  const hbm = gpu.hbmGbs * 1e9
  const product = bounded(
    (2 * sampled * matrix) / flopsPerSecond(gpu, wide),
    (2 * matrix) / (hbm * shares.weightBandwidthShare.value),
  )
  // Written in 16 bits, widened, and passed over for the softmax and the draw.
  const logits = (sampled * model.vocab * (2 + 4 + 4 + 4)) / (hbm * shares.elementwiseBandwidthShare.value)
  return { compute: product.compute, weights: product.weights + logits }
}

/** Bytes one token moves between the linear layers of one layer, kernels fused as serving engines do. */
function elementwiseBytes(hidden: number, { attention, mlp }: LayerKind, tp: number, weights: WeightDtype): number {
  const quantised = weights === 'bf16' ? 0 : 1
  const heads =
    attention.kind === 'grouped'
      ? (attention.heads + 2 * attention.kvHeads) * attention.headDim
      : attention.heads * (attention.qkNopeHeadDim + attention.qkRopeHeadDim)
  const ffn = mlp.kind === 'dense' ? mlp.ffn : mlp.ffn * mlp.topK + mlp.sharedFfn
  // Twice a layer: residual read and written, branch read, normalised copy written.
  const norms = 2 * hidden * (2 + 2 + 2 + 2)
  // Rotation reads and writes queries and keys; quantised inputs are written once more, narrower.
  const rotation = (heads * 2 * 2) / tp
  const activation = (ffn * (mlp.gated ? 3 : 2) * 2) / tp
  return norms + rotation + activation + (quantised * (heads + ffn) * 3) / tp
}

/** Causal attention of prompt tokens: each sees half of its prompt on average (FlashAttention, arXiv:2205.14135). */
function promptAttention({ cluster, layout, model }: ServeRequest, { prefill, prompt }: Pass): number {
  const { gpu } = cluster
  const wide = computeFormat(gpu, 'bf16').dtype
  const rate = (gpu.peakTflops[wide] ?? 0) * 1e12 * servingConstants().attentionShareOfPeak.value
  const perToken = overLayers(model, (kind) => {
    const { attention } = kind
    const widths =
      attention.kind === 'grouped'
        ? 2 * attention.headDim
        : attention.qkNopeHeadDim + attention.qkRopeHeadDim + attention.vHeadDim
    const seen = keptTokens(kind, prompt)
    // A window is full for all but its first tokens.
    const mean = seen < prompt ? seen - (seen * seen) / (2 * prompt) : prompt / 2
    return 2 * attention.heads * widths * mean
  })
  return (prefill * perToken) / layout.tp / rate
}

/**
 * Latent attention multiplies every cached vector with all heads, so decoding can be bound by arithmetic: what
 * exceeds the time of reading the cache (DeepSeek-V2, arXiv:2405.04434 §2.1.2, weights absorbed).
 */
function latentDecode({ cluster, layout, model, kvDtype }: ServeRequest, { decode, context }: Pass): number {
  const wide = computeFormat(cluster.gpu, 'bf16').dtype
  const shares = servingConstants()
  const rate = (cluster.gpu.peakTflops[wide] ?? 0) * 1e12 * shares.attentionShareOfPeak.value
  const bytes = cluster.gpu.hbmGbs * 1e9 * shares.kvBandwidthShare.value
  return overLayers(model, (kind) => {
    if (kind.attention.kind !== 'latent') return 0
    const { heads, kvLoraRank, qkRopeHeadDim } = kind.attention
    const flops = (2 * heads * (2 * kvLoraRank + qkRopeHeadDim) * context * decode) / layout.tp
    const read = kvNumbers(kind) * KV_BYTES[kvDtype] * context * decode
    return Math.max(0, flops / rate - read / bytes)
  })
}

/** Latency of an all-reduce inside a node with one-shot kernels, and of one over PCIe or a network. */
const FAST_REDUCE_S = 8e-6
const SLOW_REDUCE_S = 30e-6

/** Two all-reduces a layer over tensor ranks (Megatron-LM, arXiv:1909.08053 §3), two all-to-alls over experts. */
function communication({ cluster, layout, model }: ServeRequest, tokens: number): number {
  const { tp, pp, ep } = layout
  const link = (ranks: number): { gbs: number; latency: number } => {
    const inside = ranks <= cluster.scaleUpGpus
    const fast = inside && cluster.gpu.scaleUp.kind !== 'pcie'
    return { gbs: inside ? cluster.gpu.scaleUp.gbs : cluster.interGbs, latency: fast ? FAST_REDUCE_S : SLOW_REDUCE_S }
  }
  const share = servingConstants().allReduceShare.value
  const vector = model.hidden * 2
  const reduce = (ranks: number): number => {
    if (ranks === 1) return 0
    const { gbs, latency } = link(ranks)
    return latency + (((tokens * vector * 2 * (ranks - 1)) / ranks / gbs) * 1e-9) / share
  }
  const exchange = (topK: number): number => {
    if (ep <= 1) return 0
    const { gbs, latency } = link(ep)
    // Dispatch in 8 bits, combination in 16 (DeepEP).
    return 2 * latency + (((tokens * model.hidden * 3 * topK * (ep - 1)) / ep / gbs) * 1e-9) / share
  }
  const layers = overLayers(model, ({ mlp }) => {
    const routed = mlp.kind === 'experts' && ep > 1
    return reduce(tp) * (routed ? 1 : 2) + (routed ? exchange(mlp.topK) : 0)
  })
  const stages = pp === 1 ? 0 : (pp - 1) * (link(tp * pp).latency + ((tokens * vector) / link(tp * pp).gbs) * 1e-9)
  return layers + stages
}
