/**
 * Seconds that offloading to the host adds: bytes over the host link, and the optimizer on the host's cores.
 */
import type { ComputeSeconds, RankWeights } from './gradient-time.js'
import { hidden, type Pricing } from './layer-time.js'

/** Bytes a second of host memory that one GPU's share of an optimizer on the CPU streams (ZeRO-Offload, arXiv:2101.06840). */
const HOST_STREAM = 20e9
/** Bytes the host's Adam touches for a parameter: gradient, master copy and moments. */
const HOST_ADAM_BYTES = 30
/** Bytes of saved activations for a token and hidden unit of a layer with flash attention (arXiv:2205.05198, eq. 2). */
const ACTIVATION_BYTES = 34

export function offloadSeconds(weights: RankWeights, compute: ComputeSeconds, pricing: Pricing): number {
  const { layout, request, calibration } = pricing
  if (layout.offload === 'none') return 0
  const link = request.cluster.gpu.hostGbs * 1e9
  const all = weights.dense + weights.experts
  const sharded = layout.sharding.kind === 'none' ? 1 : layout.dp * layout.cp
  const trained = (all * weights.trainableShare) / sharded
  const gradient = request.numerics.gradDtype === 'fp32' ? 4 : 2
  const update = Math.max((trained * (gradient + 2)) / link, (trained * HOST_ADAM_BYTES) / HOST_STREAM)
  const pass = (bytes: number, behind: number): number => hidden(bytes / link, behind, calibration.overlapShare)
  switch (layout.offload) {
    case 'optimizer':
      return update
    case 'params': {
      // Each rank brings its own shard up; the rest comes over the scale-up link.
      const up = (2 * all) / sharded
      return update + layout.microBatches * (pass(up, compute.forward) + pass(up, compute.backward))
    }
    case 'activations': {
      const tokens = (layout.microBatch * request.work.seq) / layout.cp
      const layers = request.model.layerKinds.length / layout.pp
      const kept = layout.recompute.kind === 'full' ? 2 : ACTIVATION_BYTES / layout.tp
      const bytes = tokens * request.model.hidden * layers * kept
      return layout.microBatches * (pass(bytes, compute.forward) + pass(bytes, compute.backward))
    }
  }
}
