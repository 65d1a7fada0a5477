/**
 * Parameter counts, exact: each is compared with `transformers` on the meta device (`parameters.test.ts`).
 *
 * How a framework pads the vocabulary is here too, since it is the one thing by which a framework's own count
 * differs from the model's.
 */
import type { Attention, LayerKind, Mlp, Model, ParameterCounts, TrainFramework, Trainable } from './types.js'

/** A weight matrix of a layer: `y = x·W`, `count` of them (one per expert). */
export interface Matrix {
  readonly name: string
  readonly inputs: number
  readonly outputs: number
  readonly count: number
  /** Matrices of `count` that one token meets. */
  readonly active: number
  readonly bias: boolean
  /** `routed` experts are spread over expert-parallel ranks; the router is copied to each rank. */
  readonly part: 'attention' | 'mlp' | 'routed' | 'router'
}

/** Every linear layer of one layer, queries, keys and values apart. */
export function matricesOf(kind: LayerKind, hidden: number): readonly Matrix[] {
  return [...attentionMatrices(kind.attention, hidden), ...mlpMatrices(kind.mlp, hidden)]
}

function attentionMatrices(attention: Attention, hidden: number): Matrix[] {
  const one = { count: 1, active: 1, part: 'attention' } as const
  if (attention.kind === 'grouped') {
    const { heads, kvHeads, headDim, qkvBias, outBias } = attention
    return [
      { name: 'q', inputs: hidden, outputs: heads * headDim, bias: qkvBias, ...one },
      { name: 'k', inputs: hidden, outputs: kvHeads * headDim, bias: qkvBias, ...one },
      { name: 'v', inputs: hidden, outputs: kvHeads * headDim, bias: qkvBias, ...one },
      { name: 'o', inputs: heads * headDim, outputs: hidden, bias: outBias, ...one },
    ]
  }
  const { heads, qLoraRank, kvLoraRank, qkNopeHeadDim, qkRopeHeadDim, vHeadDim, bias } = attention
  const queries = heads * (qkNopeHeadDim + qkRopeHeadDim)
  const q: Matrix[] =
    qLoraRank === null
      ? [{ name: 'q', inputs: hidden, outputs: queries, bias: false, ...one }]
      : [
          { name: 'q down', inputs: hidden, outputs: qLoraRank, bias, ...one },
          { name: 'q up', inputs: qLoraRank, outputs: queries, bias: false, ...one },
        ]
  return [
    ...q,
    { name: 'kv down', inputs: hidden, outputs: kvLoraRank + qkRopeHeadDim, bias, ...one },
    { name: 'kv up', inputs: kvLoraRank, outputs: heads * (qkNopeHeadDim + vHeadDim), bias: false, ...one },
    { name: 'o', inputs: heads * vHeadDim, outputs: hidden, bias, ...one },
  ]
}

function mlpMatrices(mlp: Mlp, hidden: number): Matrix[] {
  const pair = (ffn: number, count: number, active: number, part: Matrix['part']): Matrix[] => {
    const up = { inputs: hidden, outputs: ffn, count, active, bias: mlp.bias, part }
    return [
      ...(mlp.gated ? [{ name: 'gate', ...up }] : []),
      { name: 'up', ...up },
      { name: 'down', inputs: ffn, outputs: hidden, count, active, bias: mlp.bias, part },
    ]
  }
  if (mlp.kind === 'dense') return pair(mlp.ffn, 1, 1, 'mlp')
  const one = { count: 1, active: 1 }
  return [
    { name: 'router', inputs: hidden, outputs: mlp.experts, bias: mlp.routerBias, part: 'router', ...one },
    ...pair(mlp.ffn, mlp.experts, mlp.topK, 'routed'),
    ...(mlp.sharedFfn > 0 ? pair(mlp.sharedFfn, 1, 1, 'mlp') : []),
    ...(mlp.sharedGate
      ? [{ name: 'shared gate', inputs: hidden, outputs: 1, bias: false, part: 'router', ...one } as const]
      : []),
  ]
}

/** Parameters of one layer by how parallelism splits them. */
export interface LayerParameters {
  /** Split over tensor-parallel ranks. */
  readonly split: number
  /** Routed experts: split over `ep·etp`. */
  readonly routed: number
  /** Normalisations, routers, and biases of row-parallel matrices: copied to each rank. */
  readonly copied: number
  /** Those that meet one token. */
  readonly active: number
  readonly total: number
  /** In the linear layers, biases left out. */
  readonly matrices: number
}

export function layerParameters(kind: LayerKind, model: Model): LayerParameters {
  let [split, routed, active, matrices] = [0, 0, 0, 0]
  let copied = kind.norms * normParameters(model, model.hidden) + attentionExtras(kind.attention, model)
  active += copied
  for (const matrix of matricesOf(kind, model.hidden)) {
    const { inputs, outputs, count, part, bias, name } = matrix
    const weights = inputs * outputs
    const biases = bias ? outputs : 0
    matrices += weights * count
    active += (weights + biases) * matrix.active
    if (part === 'routed') routed += (weights + biases) * count
    else if (
      part === 'router' ||
      (name.endsWith(' down') && kind.attention.kind === 'latent' && part === 'attention')
    ) {
      copied += weights + biases // latent down-projections feed every head
    } else if (name === 'o' || name === 'down') {
      split += weights // a row-parallel matrix adds its bias after the reduction, on every rank
      copied += biases
    } else split += weights + biases
  }
  return { split, routed, copied, active, matrices, total: split + routed + copied }
}

function normParameters(model: Model, width: number): number {
  return width * (model.normBias ? 2 : 1)
}

/** Normalisations inside attention, and sinks. */
function attentionExtras(attention: Attention, model: Model): number {
  if (attention.kind === 'latent') return (attention.qLoraRank ?? 0) + attention.kvLoraRank
  const { qkNorm, headDim, heads, kvHeads, sinks } = attention
  const norm =
    qkNorm === 'none' ? 0 : qkNorm === 'head' ? 2 * normParameters(model, headDim) : (heads + kvHeads) * headDim
  return norm + (sinks ? heads : 0)
}

/** Parameters outside the layers. */
export interface EdgeParameters {
  /** The table of tokens. */
  readonly tokens: number
  /** Learned positions, BERT's segments and the norm behind them. */
  readonly positions: number
  readonly finalNorm: number
  /** The output projection where it is not the token table. */
  readonly projection: number
  /** Its bias, and BERT's transform. */
  readonly headExtras: number
}

/** Pass the padded vocabulary to count as a framework does. */
export function edgeParameters(model: Model, vocab: number = model.vocab): EdgeParameters {
  const { hidden, encoder } = model
  return {
    tokens: vocab * hidden,
    positions:
      model.positionRows * hidden +
      (encoder === null ? 0 : encoder.segmentRows * hidden + normParameters(model, hidden)),
    finalNorm: model.finalNorm ? normParameters(model, hidden) : 0,
    projection: model.tiedEmbeddings ? 0 : vocab * hidden,
    headExtras:
      (model.headBias ? vocab : 0) + (encoder === null ? 0 : hidden * hidden + hidden + normParameters(model, hidden)),
  }
}

const counted = new WeakMap<Model, readonly LayerParameters[]>()

/** `layerParameters` of each kind of the model, computed once. */
export function kindParameters(model: Model): readonly LayerParameters[] {
  let known = counted.get(model)
  if (known === undefined) {
    known = model.kinds.map((kind) => layerParameters(kind, model))
    counted.set(model, known)
  }
  return known
}

export function countParameters(model: Model, trainable: Trainable = { kind: 'all' }): ParameterCounts {
  const kinds = kindParameters(model)
  const edge = edgeParameters(model)
  const outside = edge.tokens + edge.positions + edge.finalNorm + edge.projection + edge.headExtras
  let [total, active, adapters] = [outside, outside, 0]
  const rank = trainable.kind === 'all' ? 0 : trainable.rank
  const perKind = model.kinds.map((kind) => adapterParameters(kind, model.hidden, rank))
  for (const index of model.layerKinds) {
    total += kinds[index]!.total
    active += kinds[index]!.active
    adapters += perKind[index]!
  }
  const embedding = edge.tokens + edge.positions + edge.projection
  return { total, active, trainable: trainable.kind === 'all' ? total : adapters, embedding }
}

/**
 * Parameters of low-rank adapters on every linear layer, experts' included and routers' not:
 * A is rank × inputs, B outputs × rank (Hu et al. 2021, arXiv:2106.09685, §4.1).
 */
export function adapterParameters(kind: LayerKind, hidden: number, rank: number): number {
  return matricesOf(kind, hidden)
    .filter(({ part }) => part !== 'router')
    .reduce((sum, { inputs, outputs, count }) => sum + rank * (inputs + outputs) * count, 0)
}

/**
 * The vocabulary a framework allocates.
 *
 * Megatron-LM pads to a multiple of 128·tp (`--make-vocab-size-divisible-by`, megatron/training/tokenizer); the
 * others only need tp to divide it.
 */
export function paddedVocab(vocab: number, framework: TrainFramework, tp: number): number {
  const multiple = framework === 'megatron' ? 128 * tp : tp
  return Math.ceil(vocab / multiple) * multiple
}
