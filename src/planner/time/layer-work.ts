/**
 * The work of one layer on one rank for one micro-batch: its matrix products, its streamed bytes, its messages.
 *
 * Counting only. Rates are `machine.ts`; how long a product takes is `gemm.ts`; the attention core is
 * `attention-time.ts`.
 */
import type { Attention, Layout, LayerKind, Mlp, Model } from '../types.js'
import type { Gemm } from './gemm.js'

/** A product of the forward pass; its two backward products have the same operands in other roles. */
export interface Linear extends Gemm {
  /** Stays in the wide format under FP8 and FP4: the router, the output projection. */
  readonly wide: boolean
  /** Weights of routed experts, spread over expert-parallel ranks. */
  readonly routed: boolean
}

/** Bytes that streaming kernels read and write, in units of bytes; forward and backward. */
export interface Traffic {
  readonly forward: number
  readonly backward: number
}

export interface LayerWork {
  readonly linears: readonly Linear[]
  /** Normalisations, activations, positions, residuals. */
  readonly streamed: Traffic
  /** Conversion to and from narrow formats, if the precision has one. */
  readonly converted: Traffic
  /** Bytes of the whole activation that tensor parallelism reduces or gathers, once each way and half layer. */
  readonly tpBytes: number
  /** Bytes one rank sends in each of dispatch and combine; 0 without experts. */
  readonly dispatchBytes: number
  /** Ranks a dispatched token's bytes spread over. */
  readonly routed: boolean
  /** Kernels a forward pass starts. */
  readonly kernels: number
}

/** How elementwise work is executed: chains fused into single kernels, or one kernel an operation. */
export type Fusion = 'fused' | 'eager'

export interface WorkShape {
  readonly tokens: number
  readonly layout: Pick<Layout, 'tp' | 'ep' | 'etp' | 'sequenceParallel'>
  readonly fusion: Fusion
  /** Bytes of an activation: 2, or 4 in FP32. */
  readonly bytes: number
  /** How narrow formats are made: none, one pass (fp8, mxfp8), or with a Hadamard transform (nvfp4). */
  readonly conversion: 'none' | 'fp8' | 'mxfp8' | 'nvfp4'
}

/**
 * Passes over a tensor, reads and writes, in units of its 16-bit size. Fused: each kernel reads its inputs and
 * writes its outputs once. Eager: each operation is a kernel, and normalisations and rotary positions work in
 * FP32 (PyTorch's composite kernels: x.float(), pow, mean, rsqrt, two products and two conversions).
 */
const PASSES = {
  fused: {
    rms: [2, 4],
    layer: [2, 4],
    rope: [2, 2],
    gated: [3, 5],
    plain: [2, 3],
    residual: [3, 2],
    dropout: [0.5, 2.5],
  },
  eager: {
    rms: [17, 30],
    layer: [6, 9],
    rope: [10, 12],
    gated: [5, 8],
    plain: [2, 3],
    residual: [3, 2],
    dropout: [2.5, 2.5],
  },
} as const satisfies Record<Fusion, Record<string, readonly [number, number]>>

/** Bytes moved for an element of a product's input to become narrow: read, and written in both orientations. */
const CONVERSION_BYTES = { none: 0, fp8: 6, mxfp8: 4, nvfp4: 7 } as const

export function layerWork(kind: LayerKind, model: Model, shape: WorkShape): LayerWork {
  const { tokens, layout, bytes } = shape
  const linears = [
    ...attentionLinears(kind.attention, model.hidden, tokens, layout.tp),
    ...mlpLinears(kind.mlp, model, shape),
  ]
  const hidden = tokens * model.hidden * bytes
  const experts = kind.mlp.kind === 'experts'
  const topK = kind.mlp.kind === 'experts' ? kind.mlp.topK : 0
  return {
    linears,
    streamed: streamed(kind, model, shape),
    converted: converted(linears, shape),
    tpBytes: layout.tp > 1 ? hidden : 0,
    // Under tensor parallelism each rank dispatches its slice of the sequence.
    dispatchBytes: experts ? (hidden * topK) / layout.tp : 0,
    routed: experts,
    kernels: kernelsOf(kind, shape.fusion),
  }
}

/** The input projections are one product, as every framework fuses them; latent attention has its narrow ones. */
function attentionLinears(attention: Attention, hidden: number, tokens: number, tp: number): Linear[] {
  const linear = (k: number, n: number): Linear => ({ m: tokens, k, n, groups: 1, wide: false, routed: false })
  if (attention.kind === 'grouped') {
    const { heads, kvHeads, headDim } = attention
    const kv = Math.max(kvHeads, tp) / tp
    return [linear(hidden, (heads / tp + 2 * kv) * headDim), linear((heads / tp) * headDim, hidden)]
  }
  const { heads, qLoraRank, kvLoraRank, qkNopeHeadDim, qkRopeHeadDim, vHeadDim } = attention
  const queries = (heads / tp) * (qkNopeHeadDim + qkRopeHeadDim)
  return [
    ...(qLoraRank === null ? [linear(hidden, queries)] : [linear(hidden, qLoraRank), linear(qLoraRank, queries)]),
    linear(hidden, kvLoraRank + qkRopeHeadDim),
    linear(kvLoraRank, (heads / tp) * (qkNopeHeadDim + vHeadDim)),
    linear((heads / tp) * vHeadDim, hidden),
  ]
}

function mlpLinears(mlp: Mlp, { hidden }: Model, { tokens, layout }: WorkShape): Linear[] {
  const up = mlp.gated ? 2 : 1
  const block = (m: number, width: number, groups: number, routed: boolean): Linear[] => [
    { m, k: hidden, n: up * width, groups, wide: false, routed },
    { m, k: width, n: hidden, groups, wide: false, routed },
  ]
  if (mlp.kind === 'dense') return block(tokens, mlp.ffn / layout.tp, 1, false)
  const local = mlp.experts / layout.ep
  // Each rank of the expert group holds `tokens / tp` slices and their chosen experts; etp ranks share a slice set.
  const rows = (tokens / layout.tp) * mlp.topK * layout.etp
  return [
    { m: tokens / layout.tp, k: hidden, n: mlp.experts, groups: 1, wide: true, routed: false },
    ...block(rows / local, mlp.ffn / layout.etp, local, true),
    ...(mlp.sharedFfn > 0 ? block(tokens, mlp.sharedFfn / layout.tp, 1, false) : []),
  ]
}

function streamed(kind: LayerKind, model: Model, shape: WorkShape): Traffic {
  const { tokens, layout, fusion, bytes } = shape
  const passes = PASSES[fusion]
  const { attention, mlp } = kind
  const hidden = (tokens * model.hidden * bytes) / (layout.sequenceParallel ? layout.tp : 1)
  const norm = model.norm === 'rmsnorm' ? passes.rms : passes.layer
  const residuals = model.parallelBlocks ? 1 : 2
  const drop = model.dropout > 0 ? passes.dropout : ([0, 0] as const)
  const act = mlp.gated ? passes.gated : passes.plain
  const rotated = model.positions === 'rope' ? (tokens * rotatedWidth(attention) * bytes) / layout.tp : 0
  const side = (direction: 0 | 1): number =>
    hidden * (kind.norms * norm[direction] + residuals * (passes.residual[direction] + drop[direction])) +
    rotated * passes.rope[direction] +
    activated(mlp, shape) * act[direction] +
    (mlp.kind === 'experts' ? dispatched(mlp.topK, model.hidden, shape) : 0)
  return { forward: side(0), backward: side(1) }
}

/** Width of queries and keys under rotary positions. */
function rotatedWidth(attention: Attention): number {
  return attention.kind === 'grouped'
    ? (attention.heads + attention.kvHeads) * attention.headDim
    : attention.heads * attention.qkRopeHeadDim
}

/** Bytes of the activation's output: what a pass over the feed-forward's middle costs. */
function activated(mlp: Mlp, { tokens, layout, bytes }: WorkShape): number {
  if (mlp.kind === 'dense') return (tokens * mlp.ffn * bytes) / layout.tp
  return (tokens * (mlp.topK * mlp.ffn + mlp.sharedFfn) * bytes) / layout.tp
}

/** Permutation to the experts' order and back: each copy of a token is read and written on both sides. */
function dispatched(topK: number, hidden: number, { tokens, layout, bytes }: WorkShape): number {
  return (4 * topK * tokens * hidden * bytes) / layout.tp
}

/** Forward: the inputs of the products. Backward: the gradients of their outputs. */
function converted(linears: readonly Linear[], { conversion }: WorkShape): Traffic {
  const each = CONVERSION_BYTES[conversion]
  let forward = 0
  let backward = 0
  for (const { m, n, k, groups, wide } of linears) {
    if (wide) continue
    forward += m * k * groups * each
    backward += m * n * groups * each
  }
  return { forward, backward }
}

/** Kernels of a forward pass, counted on traces of the frameworks' blocks; the backward pass starts twice as many. */
function kernelsOf(kind: LayerKind, fusion: Fusion): number {
  const dense = fusion === 'fused' ? 16 : 45
  if (kind.mlp.kind === 'dense') return dense
  return dense + 40
}
