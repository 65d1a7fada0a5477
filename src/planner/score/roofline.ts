/**
 * The yardstick: a roofline with two constants, fitted on the same rows. A planner that does not beat it clearly
 * has no reason to be more complicated.
 */
import { trainFlops } from '../flops.js'
import { countParameters } from '../parameters.js'
import { gemmFormat, peakOf } from '../time/machine.js'
import type { TrainRequest } from '../types.js'

export interface RooflineRow {
  readonly source: string
  readonly measuredS: number
  readonly request: TrainRequest
}

export interface Roofline {
  readonly computeShare: number
  readonly memoryShare: number
}

/** Bytes a layer's activations move for each token and hidden unit, forward and backward (arXiv:2205.05198, eq. 1). */
const ACTIVATION_BYTES = 3 * 34

/** (operations / rate + bytes / bandwidth) · (1 + bubble). */
export function rooflineSeconds({ computeShare, memoryShare }: Roofline, request: TrainRequest): number {
  const { cluster, numerics, work, model, layout } = request
  const { gpus, gpu } = cluster
  const flops = trainFlops(request).hardwarePerStep / gpus
  const peak = peakOf(gpu, gemmFormat(numerics.precision)).tflops * 1e12
  const tokens = (work.globalBatch * work.seq) / gpus
  const activations = tokens * model.hidden * model.layerKinds.length * ACTIVATION_BYTES
  const states = (30 * countParameters(model).total) / gpus
  const bubble = (layout.pp - 1) / (layout.vpp * layout.microBatches)
  return (flops / (peak * computeShare) + (activations + states) / (gpu.hbmGbs * 1e9 * memoryShare)) * (1 + bubble)
}

/** Least mean of the sources' mean squared log errors, on a grid. */
export function fitRoofline(rows: readonly RooflineRow[]): Roofline {
  let best = { computeShare: 0.5, memoryShare: 0.5 }
  let least = Number.POSITIVE_INFINITY
  for (let computeShare = 0.2; computeShare <= 1; computeShare += 0.02) {
    for (const memoryShare of [0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 1e9]) {
      const cost = meanCost(rows, { computeShare, memoryShare })
      if (cost < least) [best, least] = [{ computeShare, memoryShare }, cost]
    }
  }
  return best
}

function meanCost(rows: readonly RooflineRow[], roofline: Roofline): number {
  const sources = new Map<string, number[]>()
  for (const { source, measuredS, request } of rows) {
    const error = Math.log(rooflineSeconds(roofline, request) / measuredS)
    sources.set(source, [...(sources.get(source) ?? []), error * error])
  }
  const means = [...sources.values()].map((errors) => errors.reduce((a, b) => a + b, 0) / errors.length)
  return means.reduce((a, b) => a + b, 0) / Math.max(1, means.length)
}
