/**
 * Parameters of a pipeline stage on one GPU, and the bytes of weights, gradients and optimizer states they take under
 * each way of sharding (ZeRO: Rajbhandari et al. 2020, arXiv:1910.02054, §5; FSDP: arXiv:2304.11277). What one
 * parameter takes is `states.ts`; activations and the peak are `memory.ts`.
 */
import { kindsOf, type Chunk } from './layout.js'
import { adapterParameters, edgeParameters, kindParameters, matricesOf } from './parameters.js'
import { momentBytes, NF4_BYTES, optimizerBytes, stateBytes } from './states.js'
import type { LayerKind, Model, TrainRequest } from './types.js'

export interface StatesContext {
  readonly request: TrainRequest
  /** With the framework's padding. */
  readonly vocab: number
  /** Ranks over which a replica's states may be sharded: dense parameters, and experts. */
  readonly denseRanks: number
  readonly expertRanks: number
}

/** Parameters of one stage on one GPU, before any sharding over data parallelism. */
export interface StageParameters {
  /** In layers, experts apart. */
  readonly dense: number
  readonly routed: number
  /** Embedding, output projection, final norm. */
  readonly edges: number
  /** Adapters' parameters. */
  readonly adapters: number
  /** Of the matrices in layers, for factored optimizers. */
  readonly factors: number
  /** Norms, biases and routers, part of `dense`. */
  readonly vectors: number
  readonly largestLayer: number
}

export function stageParameters(context: StatesContext, stage: number, chunks: readonly Chunk[]): StageParameters {
  const { request, vocab } = context
  const { model, layout, trainable } = request
  const { tp, ep, etp, pp } = layout
  const counts = kindParameters(model)
  const factored = request.numerics.optimizer === 'adafactor'
  const rank = trainable.kind === 'all' ? 0 : trainable.rank
  let [dense, routed, adapters, factors, vectors, largestLayer] = [0, 0, 0, 0, 0, 0]
  for (const chunk of chunks) {
    for (const [kind, number] of kindsOf(model, chunk)) {
      const layer = counts[kind]!
      const here = layer.split / tp + layer.copied
      dense += number * here
      vectors += number * layer.copied
      routed += (number * layer.routed) / (ep * etp)
      largestLayer = Math.max(largestLayer, here + layer.routed / (ep * etp))
      if (rank > 0) adapters += (number * adapterParameters(model.kinds[kind]!, model.hidden, rank)) / tp
      if (factored) factors += number * factorsOf(model.kinds[kind]!, model, tp, ep * etp)
    }
  }
  const edge = edgeParameters(model, vocab)
  const first = stage === 0
  const last = stage === pp - 1
  const table = edge.tokens / tp
  const lastTable = model.tiedEmbeddings && pp > 1 ? table : edge.projection / tp // a tied table is on both ends
  const edges = (first ? table + edge.positions : 0) + (last ? lastTable + edge.finalNorm + edge.headExtras : 0)
  return { dense, routed, edges, adapters, factors, vectors, largestLayer }
}

function factorsOf(kind: LayerKind, model: Model, tp: number, expertSplit: number): number {
  return matricesOf(kind, model.hidden).reduce(
    (sum, { inputs, outputs, count, part }) =>
      sum + (part === 'routed' ? ((inputs + outputs) * count) / expertSplit : inputs + outputs / tp),
    0,
  )
}

export interface States {
  readonly weights: number
  readonly grads: number
  readonly optimizer: number
  /** Unsharded parameters and gradients in use, and buckets. */
  readonly comm: number
}

export function statesOf(context: StatesContext, parameters: StageParameters): States {
  const { request, denseRanks, expertRanks } = context
  const { numerics, software, layout, trainable } = request
  const bytes = stateBytes(numerics, software)
  const kind = layout.sharding.kind
  const group = layout.sharding.kind === 'hsdp' ? layout.sharding.group : denseRanks
  const ranks = { dense: Math.min(group, denseRanks), routed: Math.min(group, expertRanks) }
  const whole = kind === 'zero3' || kind === 'fsdp' || kind === 'hsdp'
  const shards = {
    weights: whole,
    grads: whole || kind === 'zero2',
    optimizer: whole || kind === 'zero2' || kind === 'zero1',
  }
  const dense = parameters.dense + parameters.edges
  const divided = (perDense: number, perRouted: number, sharded: boolean): number =>
    sharded ? perDense / ranks.dense + perRouted / ranks.routed : perDense + perRouted
  if (trainable.kind !== 'all') return adapterStates(parameters, trainable.kind, { ranks, shards, whole })
  const weights = divided(dense * bytes.weights, parameters.routed * bytes.weights, shards.weights)
  const grads = divided(dense * bytes.grads, parameters.routed * bytes.grads, shards.grads)
  const moment = momentBytes(numerics)
  const optimizer =
    divided(dense * bytes.master, parameters.routed * bytes.master, shards.optimizer) +
    divided(
      optimizerBytes(
        numerics.optimizer,
        {
          matrices: parameters.dense - parameters.vectors,
          others: parameters.edges + parameters.vectors,
          factors: parameters.factors,
        },
        moment,
      ),
      numerics.optimizer === 'adafactor'
        ? 0 // counted with the factors
        : optimizerBytes(numerics.optimizer, { matrices: parameters.routed, others: 0, factors: 0 }, moment),
      shards.optimizer,
    )
  const off = layout.offload
  return {
    weights: off === 'params' ? 0 : weights,
    grads,
    optimizer: off === 'params' || off === 'optimizer' ? 0 : optimizer,
    comm:
      whole || off === 'params' ? unshardedBytes(context, parameters) : bucketBytes(context, dense + parameters.routed),
  }
}

interface Division {
  readonly ranks: { readonly dense: number; readonly routed: number }
  readonly shards: { readonly weights: boolean }
  readonly whole: boolean
}

/**
 * Frozen 16-bit (LoRA) or 4-bit (QLoRA) weights, and adapters with FP32 weights, gradients and Adam's moments, 16
 * bytes a parameter. QLoRA quantises the layers' matrices; embeddings, output projection and norms stay at 16 bits.
 */
function adapterStates(
  parameters: StageParameters,
  kind: 'lora' | 'qlora',
  { ranks, shards, whole }: Division,
): States {
  const inLayers = kind === 'qlora' ? NF4_BYTES : 2
  const dense = (parameters.dense - parameters.vectors) * inLayers + (parameters.vectors + parameters.edges) * 2
  const routed = parameters.routed * inLayers
  const base = shards.weights ? dense / ranks.dense + routed / ranks.routed : dense + routed
  const adapters = shards.weights ? parameters.adapters / ranks.dense : parameters.adapters
  return {
    weights: base + adapters * 4,
    grads: adapters * 4,
    optimizer: adapters * 8,
    comm: whole ? 2 * parameters.largestLayer * inLayers + parameters.edges * 2 : 0,
  }
}

/**
 * With fully sharded weights, what is whole at the peak: the layer at work and the one fetched ahead, embedding and
 * output projection, which stay whole between forward and backward, and one layer's gradients on their way to being
 * reduced (Zhao et al. 2023, arXiv:2304.11277, §3.2 and §5.3).
 */
function unshardedBytes({ request }: StatesContext, parameters: StageParameters): number {
  const { compute, grads } = stateBytes(request.numerics, request.software)
  return (2 * parameters.largestLayer + parameters.edges) * compute + parameters.largestLayer * (compute + grads)
}

/** DeepSpeed's ZeRO gathers and reduces through buckets of 5·10⁸ elements (its configuration's defaults). */
function bucketBytes({ request }: StatesContext, parameters: number): number {
  const { layout, software } = request
  if (software.framework !== 'deepspeed' || layout.dp === 1 || layout.sharding.kind === 'none') return 0
  return 2 * 2 * Math.min(5e8, parameters)
}
