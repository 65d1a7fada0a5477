/**
 * What a forward pass multiplies with and what it keeps: the matrices of a layer, and the keys and values a token
 * leaves in the cache. Counts for the whole model; dividing by ranks is `memory.ts` and `pass.ts`.
 */
import { type Matrix, matricesOf } from '../parameters.js'
import type { KvDtype, LayerKind, Model, WeightDtype } from '../types.js'

/** Bytes of a weight in a linear layer, scales included. */
export const WEIGHT_BYTES: Readonly<Record<WeightDtype, number>> = {
  bf16: 2,
  fp8: 1,
  int8: 1,
  // One 16-bit scale for 128 weights: AWQ, arXiv:2306.00978; GPTQ, arXiv:2210.17323.
  int4: 0.5 + 2 / 128,
  // One 8-bit scale for 16 weights: NVFP4, NVIDIA Transformer Engine documentation.
  fp4: 0.5 + 1 / 16,
}

export const KV_BYTES: Readonly<Record<KvDtype, number>> = { bf16: 2, fp8: 1, int8: 1 }

/** Weights of one layer by what happens to them. */
export interface LayerMatrices {
  /** Linear layers of the attention. */
  readonly attention: number
  /** Dense MLP or shared experts. */
  readonly mlp: number
  /** One routed expert; 0 in dense layers. */
  readonly expert: number
  readonly experts: number
  readonly topK: number
  /** What stays in 16 bits: router, norms, biases. */
  readonly rest: number
}

export function layerMatrices({ hidden }: Model, kind: LayerKind): LayerMatrices {
  const matrices = matricesOf(kind, hidden)
  const weightsOf = (part: Matrix['part']): number =>
    matrices.reduce((sum, one) => sum + (one.part === part ? one.inputs * one.outputs * one.count : 0), 0)
  const { mlp } = kind
  const experts = mlp.kind === 'experts' ? mlp.experts : 0
  return {
    attention: weightsOf('attention'),
    mlp: weightsOf('mlp'),
    expert: experts === 0 ? 0 : weightsOf('routed') / experts,
    experts,
    topK: mlp.kind === 'experts' ? mlp.topK : 0,
    rest: weightsOf('router') + kind.norms * hidden,
  }
}

/**
 * Numbers one token leaves in one layer's cache: keys and values of each key-value head, or the compressed vector
 * and the rotary key that all heads share (DeepSeek-V2, arXiv:2405.04434, table 1).
 */
export function kvNumbers({ attention }: LayerKind): number {
  if (attention.kind === 'grouped') return 2 * attention.kvHeads * attention.headDim
  return attention.kvLoraRank + attention.qkRopeHeadDim
}

/** Tokens of a context that a layer keeps: all, or its window. */
export function keptTokens({ attention }: LayerKind, context: number): number {
  const window = attention.kind === 'grouped' ? attention.window : null
  return window === null ? context : Math.min(window, context)
}

/** Sum over the layers of `of(kind)`; kinds are few, so each is asked once. */
export function overLayers(model: Model, of: (kind: LayerKind) => number): number {
  const each = model.kinds.map(of)
  return model.layerKinds.reduce((sum, kind) => sum + (each[kind] ?? 0), 0)
}
