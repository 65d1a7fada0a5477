/**
 * Memory of a serving GPU: weights, workspace, and what is left for keys and values; how many requests and how long
 * a context that holds.
 */
import { GIB } from '../units.js'
import type { Cluster, Model, ServeMemory, ServeRequest } from '../types.js'
import { KV_BYTES, keptTokens, kvNumbers, layerMatrices, overLayers, WEIGHT_BYTES } from './matrices.js'
import { servingConstants } from './presets.js'

/** CUDA context, libraries and their handles, as the driver reports them for an idle server. */
const CONTEXT_BYTES = 0.6 * GIB
/** Captured CUDA graphs: vLLM logs 0.3 to 1 GiB for 7B to 70B models. */
const GRAPH_BYTES = 0.6 * GIB
/** Buffers of the collectives of one GPU. */
const COLLECTIVE_BYTES = 0.4 * GIB

/** Bytes of weights on the fullest GPU. */
export function weightBytesPerGpu(request: ServeRequest): number {
  const { model, weights, layout } = request
  const { tp, pp, ep } = layout
  const perWeight = WEIGHT_BYTES[weights]
  const layers = overLayers(model, (kind) => {
    const { attention, mlp, expert, experts, rest } = layerMatrices(model, kind)
    const expertRanks = Math.max(ep, tp)
    return ((attention + mlp) / tp + (expert * experts) / expertRanks) * perWeight + rest * 2
  })
  // Embeddings stay in 16 bits: quantised checkpoints leave them and the output projection out.
  const embeddings = model.vocab * model.hidden * 2
  const ends = pp === 1 ? (model.tiedEmbeddings ? 1 : 2) : 1
  return layers / pp + (ends * embeddings) / tp
}

/** Bytes one token takes in the cache, over all layers and GPUs of a replica. */
export function kvBytesPerToken({ model, kvDtype }: Pick<ServeRequest, 'model' | 'kvDtype'>): number {
  return overLayers(model, kvNumbers) * KV_BYTES[kvDtype]
}

/** Copies of the cache that tensor parallelism makes: ranks beyond the key-value heads repeat them. */
function kvCopies(model: Model, tp: number): number {
  const heads = Math.min(...model.kinds.map(({ attention }) => (attention.kind === 'grouped' ? attention.kvHeads : 1)))
  return Math.max(1, tp / heads)
}

/** Bytes of the cache on one GPU for one request of `context` tokens; windows stop growing. */
export function kvBytesOfRequest(request: ServeRequest, context: number): number {
  const { model, kvDtype, layout } = request
  const numbers = overLayers(model, (kind) => kvNumbers(kind) * keptTokens(kind, context))
  return (numbers * KV_BYTES[kvDtype] * kvCopies(model, layout.tp)) / (layout.tp * layout.pp)
}

/** Activations of the largest pass, logits, graphs and the context. */
export function workspaceBytes(request: ServeRequest): number {
  const { model, layout, framework, chunkedPrefill, promptTokens } = request
  const preset = servingConstants().frameworks[framework]
  const tokens = Math.min(preset.batchTokens, Math.max(chunkedPrefill ?? promptTokens, 1024))
  const widest = Math.max(
    ...model.kinds.map(({ mlp }) => (mlp.kind === 'dense' ? mlp.ffn : mlp.ffn * mlp.topK + mlp.sharedFfn)),
  )
  // Residual, its normalised copy, queries to values and the attention's output; both halves of the activation.
  const activations = tokens * 2 * (6 * model.hidden + (3 * widest) / layout.tp)
  const logits = preset.maxRequests * model.vocab * (4 + 2)
  const collectives = layout.tp * layout.pp * layout.dp > 1 ? COLLECTIVE_BYTES : 0
  return activations + logits + CONTEXT_BYTES + GRAPH_BYTES + collectives
}

/** Bytes for the cache on one GPU; negative when weights and workspace alone are too much. */
export function kvRoomBytes(request: ServeRequest): number {
  const { cluster, framework, memoryFraction } = request
  const used = weightBytesPerGpu(request) + workspaceBytes(request)
  if (servingConstants().frameworks[framework].fractionOf === 'free') return memoryFraction * (cluster.hbmBytes - used)
  return memoryFraction * cluster.hbmBytes - used
}

/** Requests of a replica that the cache holds at once. */
export function requestsHeld(request: ServeRequest): number {
  const { framework, promptTokens, outputTokens } = request
  const whole = servingConstants().frameworks[framework].reserve === 'whole' || request.staticBatch !== null
  const held = promptTokens + (whole ? outputTokens : outputTokens / 2)
  return Math.max(0, Math.floor(kvRoomBytes(request) / kvBytesOfRequest(request, held)))
}

export function serveMemory(request: ServeRequest): ServeMemory {
  const { cluster, layout, framework, model, promptTokens, outputTokens } = request
  const room = kvRoomBytes(request)
  const held = requestsHeld(request)
  const context = promptTokens + outputTokens
  const tokensPerReplica = room <= 0 ? 0 : (room / kvBytesOfRequest(request, context)) * context
  const cap = servingConstants().frameworks[framework].maxRequests
  return {
    capacityGiB: cluster.hbmBytes / GIB,
    fits: kvBytesOfRequest(request, context) <= room,
    weightsGiB: weightBytesPerGpu(request) / GIB,
    kvBytesPerToken: kvBytesPerToken(request),
    kvCapacityTokens: Math.floor(tokensPerReplica) * layout.dp,
    workspaceGiB: workspaceBytes(request) / GIB,
    maxConcurrency: Math.min(held, cap) * layout.dp,
    maxContext: longestContext(request, room, model.maxPositions),
  }
}

/** The longest context one request may have: bisection, since windows make the cache grow unevenly. */
function longestContext(request: ServeRequest, room: number, limit: number | null): number {
  let [fits, over] = [0, (limit ?? 2 ** 30) + 1]
  while (over - fits > 1) {
    const middle = Math.floor((fits + over) / 2)
    if (kvBytesOfRequest(request, middle) <= room) fits = middle
    else over = middle
  }
  return fits
}

/** GPUs a replica needs at least for its weights, as a hint when a request does not fit. */
export function gpusForWeights(request: ServeRequest, cluster: Cluster = request.cluster): number {
  const whole = weightBytesPerGpu({ ...request, layout: { tp: 1, pp: 1, dp: 1, ep: 1 } })
  let gpus = 1
  while (whole / gpus + workspaceBytes(request) > request.memoryFraction * cluster.hbmBytes && gpus < 4096) gpus *= 2
  return gpus
}
