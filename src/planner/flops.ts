/**
 * Floating-point operations, exact: a matrix product of m×k by k×n is 2·m·k·n; nothing else counts.
 *
 * That is the convention of PaLM (Chowdhery et al. 2022, arXiv:2204.02311, appendix B), of Megatron-LM (Narayanan
 * et al. 2021, arXiv:2104.04473, appendix) and of torch's FlopCounterMode, which the tests compare with. Backward is
 * twice forward: one product for the inputs' gradient, one for the weights'. Time is not here.
 */
import { matricesOf } from './parameters.js'
import type { Attention, FlopCounts, LayerKind, MfuConvention, Model, TrainRequest } from './types.js'

/** Forward operations of one layer. */
export interface KindFlops {
  /** A token's matrix products with weights. */
  readonly linearPerToken: number
  /** A token's products of queries with one key, and of its weight with one value. */
  readonly attentionPerKey: number
}

export function kindFlops(kind: LayerKind, hidden: number): KindFlops {
  const linearPerToken = matricesOf(kind, hidden).reduce(
    (sum, { inputs, outputs, active }) => sum + 2 * inputs * outputs * active,
    0,
  )
  const { qk, v } = attentionWidths(kind.attention)
  return { linearPerToken, attentionPerKey: 2 * (qk + v) }
}

/** Widths over all heads of what is multiplied in the attention core. */
export function attentionWidths(attention: Attention): { readonly qk: number; readonly v: number } {
  if (attention.kind === 'grouped') {
    const width = attention.heads * attention.headDim
    return { qk: width, v: width }
  }
  const { heads, qkNopeHeadDim, qkRopeHeadDim, vHeadDim } = attention
  return { qk: heads * (qkNopeHeadDim + qkRopeHeadDim), v: heads * vHeadDim }
}

/**
 * Keys a query meets on average in sequences of `seq` tokens.
 *
 * `full` counts every key, or the whole window. `half` counts the visible ones: s/2, and w − w²/2s under a window of
 * w (the diagonal's half token is left out, as in published counts).
 */
export function keysPerQuery(kind: LayerKind, model: Model, seq: number, causal: MfuConvention['causal']): number {
  const window = kind.attention.kind === 'grouped' ? kind.attention.window : null
  const reach = Math.min(window ?? seq, seq)
  return model.causal && causal === 'half' ? reach - (reach * reach) / (2 * seq) : reach
}

/** Forward operations of the output projection, and BERT's transform before it, for one token. */
export function headFlops(model: Model): number {
  const { hidden, vocab, encoder } = model
  return 2 * hidden * vocab + (encoder === null ? 0 : 2 * hidden * hidden)
}

export interface ForwardFlops {
  readonly linear: number
  readonly attention: number
  readonly head: number
}

/** Forward operations for one token in a sequence of `seq`, over all layers. */
export function forwardFlops(model: Model, seq: number, causal: MfuConvention['causal']): ForwardFlops {
  let [linear, attention] = [0, 0]
  const counts = layersPerKind(model)
  model.kinds.forEach((kind, index) => {
    const { linearPerToken, attentionPerKey } = kindFlops(kind, model.hidden)
    linear += counts[index]! * linearPerToken
    attention += counts[index]! * attentionPerKey * keysPerQuery(kind, model, seq, causal)
  })
  return { linear, attention, head: headFlops(model) }
}

export function layersPerKind(model: Model): readonly number[] {
  const counts = Array<number>(model.kinds.length).fill(0)
  for (const index of model.layerKinds) counts[index]! += 1
  return counts
}

/**
 * Operations of one step over the whole cluster.
 *
 * Frozen weights need no gradient of their own, so with adapters the base model's products run twice, not three
 * times, and the adapters' three times. Recomputation adds the forward pass of what it repeats: whole layers, or the
 * attention core alone (Korthikanti et al. 2022, arXiv:2205.05198, §5). The output projection is never recomputed.
 */
export function trainFlops(request: TrainRequest): FlopCounts {
  const { model, work, mfu, trainable } = request
  const tokens = work.globalBatch * work.seq
  const { linear, attention, head } = forwardFlops(model, work.seq, mfu.causal)
  const headCounted = mfu.embeddings ? head : 0
  const passes = trainable.kind === 'all' ? 3 : 2
  const adapters = trainable.kind === 'all' ? 0 : 3 * adapterFlops(model, trainable.rank)
  const modelPerToken = passes * (linear + headCounted) + adapters + 3 * attention
  const again = recomputedShare(request)
  return {
    modelPerStep: tokens * modelPerToken,
    hardwarePerStep: tokens * (modelPerToken + again.layers * linear + Math.max(again.layers, again.core) * attention),
    convention: `causal=${mfu.causal}, embeddings=${mfu.embeddings ? 'on' : 'off'}`,
  }
}

/** Forward operations of the adapters, for one token. */
function adapterFlops(model: Model, rank: number): number {
  const counts = layersPerKind(model)
  return model.kinds.reduce((sum, kind, index) => {
    const perLayer = matricesOf(kind, model.hidden)
      .filter(({ part }) => part !== 'router')
      .reduce((layer, { inputs, outputs, active }) => layer + 2 * rank * (inputs + outputs) * active, 0)
    return sum + perLayer * counts[index]!
  }, 0)
}

/** Share of the layers, and of attention cores, whose forward pass runs twice. */
function recomputedShare({ model, layout }: TrainRequest): { readonly layers: number; readonly core: number } {
  const { recompute, pp } = layout
  if (recompute.kind !== 'full') return { layers: 0, core: recompute.kind === 'selective' ? 1 : 0 }
  if (recompute.layers === null) return { layers: 1, core: 0 }
  return { layers: Math.min(1, (recompute.layers * pp) / model.layerKinds.length), core: 0 }
}
