/**
 * Memory of one GPU of each stage, at its peak: what is allocated, what the allocator reserves, what the device shows.
 *
 * Closed forms only, so that a search can ask for thousands of layouts. A stage's peak is the largest of three
 * moments: the loss on the last stage, the first backward pass with all micro-batches in flight, and the optimizer
 * step. Speed is not here.
 */
import { layerActivations, type LayerActivations, type MicroBatch } from './activations.js'
import { inFlight } from './in-flight.js'
import { chunksOf, kindsOf, type Chunk } from './layout.js'
import { paddedVocab } from './parameters.js'
import { type StageParameters, stageParameters, type States, type StatesContext, statesOf } from './stage-states.js'
import { frameworkMemory, layerStyle } from './states.js'
import type { Quantity, StageMemory, TrainMemory, TrainRequest } from './types.js'
import { GIB } from './units.js'

/** Everything about a request that does not differ between stages. */
interface Context extends StatesContext {
  readonly batch: MicroBatch
  /** Of each kind of layer. */
  readonly perKind: readonly LayerActivations[]
}

export function trainMemory(request: TrainRequest): TrainMemory {
  const context = contextOf(request)
  const byStage = Array.from({ length: request.layout.pp }, (): Chunk[] => [])
  for (const chunk of chunksOf(request.model, request.layout)) byStage[chunk.stage]!.push(chunk)
  const stages = byStage.map((chunks, stage) => stageMemory(context, stage, chunks))
  const capacityGiB = request.cluster.hbmBytes / GIB
  const worst = stages.reduce((most, stage) => (stage.deviceGiB > most.deviceGiB ? stage : most))
  const peak = (field: 'allocatedGiB' | 'reservedGiB' | 'deviceGiB'): number =>
    Math.max(...stages.map((stage) => stage[field]))
  return {
    capacityGiB,
    fits: worst.deviceGiB <= capacityGiB,
    worstStage: worst.stage,
    allocatedGiB: interval(peak('allocatedGiB'), SPREAD.allocated),
    reservedGiB: interval(peak('reservedGiB'), SPREAD.reserved),
    deviceGiB: interval(peak('deviceGiB'), SPREAD.device),
    stages,
  }
}

/** Relative 80 % intervals: the errors seen on published runs, allocated and reserved (`docs/planner-accuracy.md`). */
const SPREAD = { allocated: [0.08, 0.1], reserved: [0.12, 0.14], device: [0.12, 0.15] } as const

function interval(p50: number, [below, above]: readonly [number, number]): Quantity {
  return { p50, lo80: p50 * (1 - below), hi80: p50 * (1 + above) }
}

function contextOf(request: TrainRequest): Context {
  const { model, layout, numerics, software, work, cluster } = request
  const { tp, cp, ep, etp, pp, dp } = layout
  const batch: MicroBatch = {
    tokens: (layout.microBatch * work.seq) / cp,
    seq: work.seq,
    tp,
    sp: layout.sequenceParallel ? tp : 1,
    etp,
    attention: numerics.attention,
    bytes: numerics.precision === 'fp32' ? 4 : 2,
  }
  const style = layerStyle(numerics, software)
  return {
    request,
    batch,
    perKind: model.kinds.map((kind) => layerActivations(kind, model, batch, style)),
    vocab: paddedVocab(model.vocab, software.framework, tp),
    denseRanks: dp * cp,
    expertRanks: Math.max(1, cluster.gpus / pp / (ep * etp)),
  }
}

/** What a moment of the step holds besides weights and optimizer states, in bytes. */
interface Moment {
  readonly at: string
  readonly grads: number
  readonly activations: number
  readonly loss: number
  readonly comm: number
  readonly workspace: number
}

function stageMemory(context: Context, stage: number, chunks: readonly Chunk[]): StageMemory {
  const { request } = context
  const parameters = stageParameters(context, stage, chunks)
  const states = statesOf(context, parameters)
  const { dense, routed, edges, adapters } = parameters
  const resident = (moment: Moment): number =>
    states.weights + states.optimizer + moment.grads + moment.activations + moment.loss + moment.comm + moment.workspace
  const peak = momentsOf(context, stage, chunks, { parameters, states }).reduce((most, moment) =>
    resident(moment) > resident(most) ? moment : most,
  )
  const allocated = resident(peak)
  const reserved = allocated * (1 + fragmentation(request))
  return {
    stage,
    params: dense + routed + edges + adapters,
    weightsGiB: states.weights / GIB,
    gradsGiB: peak.grads / GIB,
    optimizerGiB: states.optimizer / GIB,
    activationsGiB: peak.activations / GIB,
    lossGiB: peak.loss / GIB,
    commGiB: peak.comm / GIB,
    workspaceGiB: peak.workspace / GIB,
    allocatedGiB: allocated / GIB,
    reservedGiB: reserved / GIB,
    deviceGiB: (reserved + deviceBytes(request)) / GIB,
    peakAt: peak.at,
  }
}

/**
 * The moments that may be the peak. When the backward pass starts all activations exist and, where gradients are made
 * anew for each step, no gradient; when it ends it is the other way round. In between both change evenly, so the peak
 * is at one of the ends.
 */
function momentsOf(
  context: Context,
  stage: number,
  chunks: readonly Chunk[],
  { parameters, states }: { readonly parameters: StageParameters; readonly states: States },
): readonly Moment[] {
  const { request } = context
  const { layout, software } = request
  const { kept, working } = activationBytes(context, stage, chunks)
  const framework = frameworkMemory(software)
  const comm = states.comm + (layout.pp > 1 ? 4 * streamBytes(context) : 0) // sent and received, both ways
  const grads = framework.gradBuffer || layout.microBatches > 1 ? states.grads : 0
  const fixed = workspaceBytes(context)
  // Whole literals: a search builds these by the hundred thousand, and spreading them took half its time.
  const moments: Moment[] = [
    {
      at: backwardName(layout.pp, layout.microBatches),
      grads,
      activations: kept,
      loss: 0,
      comm,
      workspace: fixed + working,
    },
    {
      at: 'end of the backward pass',
      grads: states.grads,
      activations: 0,
      loss: 0,
      comm,
      workspace: fixed + working,
    },
    {
      at: 'optimizer step',
      grads: states.grads,
      activations: 0,
      loss: 0,
      comm: 0,
      workspace: fixed + optimizerStepBytes(context, parameters),
    },
  ]
  if (stage === layout.pp - 1) {
    moments.push({ at: 'loss', grads, activations: kept, loss: lossBytes(context), comm, workspace: fixed })
  }
  return moments
}

/**
 * Temporaries of the step: those of the framework's optimizer, and in Megatron-LM an FP32 copy of 16-bit gradients:
 * the 20 bytes of its table are 16 that stay and these 4.
 */
function optimizerStepBytes(context: Context, parameters: StageParameters): number {
  const { trainable, numerics, software, layout } = context.request
  if (layout.offload === 'optimizer' || layout.offload === 'params') return 0
  const all = parameters.dense + parameters.routed + parameters.edges
  const trained = (trainable.kind === 'all' ? all : parameters.adapters) * shardShare(context)
  const copied = software.framework === 'megatron' && numerics.gradDtype !== 'fp32' && numerics.master
  return trained * (frameworkMemory(software).stepBytes + (copied ? 4 : 0))
}

function backwardName(pp: number, microBatches: number): string {
  return pp > 1 && microBatches > 1
    ? 'first backward pass, with the most micro-batches in flight'
    : 'start of the backward pass'
}

/** Share of the optimizer's work on one rank. */
function shardShare({ request, denseRanks }: Context): number {
  const { sharding } = request.layout
  return sharding.kind === 'none' ? 1 : 1 / Math.min(sharding.kind === 'hsdp' ? sharding.group : denseRanks, denseRanks)
}

function streamBytes({ request, batch }: Context): number {
  return (batch.tokens / batch.sp) * request.model.hidden * batch.bytes
}

/** Activations kept at the peak, and what the layer at work needs besides. */
function activationBytes(context: Context, stage: number, chunks: readonly Chunk[]): { kept: number; working: number } {
  const { request, perKind } = context
  const { layout, model } = request
  const { recompute } = layout
  const stream = streamBytes(context)
  const counts = inFlight(layout, stage)
  let [kept, working] = [0, 0]
  let wholeLayers = recompute.kind === 'full' ? (recompute.layers ?? Infinity) : 0
  chunks.forEach((chunk, index) => {
    let perMicroBatch = 0
    for (const [kind, number] of kindsOf(model, chunk)) {
      const bytes = perKind[kind]!
      const whole = Math.min(wholeLayers, number)
      wholeLayers -= whole
      const rest = recompute.kind === 'selective' ? bytes.selective : bytes.none
      perMicroBatch += whole * bytes.full + (number - whole) * rest
      const again =
        whole > 0 ? bytes.none - bytes.full : recompute.kind === 'selective' ? bytes.none - bytes.selective : 0
      working = Math.max(working, bytes.backward + again)
    }
    // Dropout behind the embedding keeps a mask; learned tables keep indices only.
    if (chunk.position === 0 && model.dropout > 0) perMicroBatch += stream / context.batch.bytes
    if (chunk.position === layout.pp * layout.vpp - 1) perMicroBatch += 2 * stream // final norm's input and output
    kept += perMicroBatch * (counts[index] ?? 1)
  })
  if (layout.offload === 'activations') kept = Math.min(kept, 2 * Math.max(...perKind.map(({ full }) => full)))
  return { kept, working }
}

/** Logits and their gradients. A fused loss holds a chunk of them: as many as the stream has elements. */
function lossBytes({ request, batch, vocab }: Context): number {
  const { logitBytes } = frameworkMemory(request.software)
  const logits = (batch.tokens * vocab) / batch.tp
  if (request.numerics.fusedLoss) return Math.min(logits, (batch.tokens * request.model.hidden) / batch.tp) * logitBytes
  return logits * logitBytes
}

/** cuBLAS keeps 32 MiB a handle on Hopper and newer, 8 MiB before (torch/cuda: CUBLAS_WORKSPACE_CONFIG). */
function workspaceBytes({ request }: Context): number {
  const wide = (request.cluster.gpu.peakTflops.fp8 ?? 0) > 0
  return (wide ? 32 : 8) * 2 ** 20 * 2
}

/** Share of reserved memory above the allocated peak. */
function fragmentation({ numerics }: TrainRequest): number {
  return numerics.compile ? 0.05 : 0.08
}

/** Before CUDA 11.7 and torch 1.13 all kernels were loaded at once (CUDA programming guide, lazy loading). */
const CONTEXT_GIB = { eager: 1.4, lazy: 0.55 }

/** Memory of the device outside the allocator: the CUDA context and loaded kernels, and buffers of each NCCL communicator. */
function deviceBytes({ layout, cluster, software }: TrainRequest): number {
  const context = (software.release ?? '9999') < '2022.11' ? CONTEXT_GIB.eager : CONTEXT_GIB.lazy
  const groups = [layout.tp, layout.pp, layout.dp, layout.cp, layout.ep].filter((size) => size > 1).length
  return (context + (cluster.gpus > 1 ? 0.3 * Math.max(1, groups) : 0)) * GIB
}
