/** What a table measured, as seconds a step: the one quantity all speed tables can be compared in. */
import { trainFlops } from '../flops.js'
import { gemmFormat, peakOf } from '../time/machine.js'
import type { TrainRequest } from '../types.js'

/** Null when the row has no speed. */
export function measuredStep(request: TrainRequest, measured: Readonly<Record<string, number>>): number | null {
  const { work, cluster, mfu, numerics } = request
  const tokens = work.globalBatch * work.seq
  const flops = trainFlops(request)
  const peak = (mfu.peakTflops ?? peakOf(cluster.gpu, gemmFormat(numerics.precision)).tflops) * 1e12
  const { gpus } = cluster
  const amounts: Readonly<Record<string, number>> = {
    'throughput.tokensPerS': tokens,
    'throughput.tokensPerSPerGpu': tokens / gpus,
    'throughput.samplesPerSPerGpu': work.globalBatch / gpus,
    'throughput.modelTflopsPerGpu': flops.modelPerStep / gpus / 1e12,
    'throughput.hardwareTflopsPerGpu': flops.hardwarePerStep / gpus / 1e12,
    'throughput.mfu': flops.modelPerStep / gpus / peak,
    'throughput.hfu': flops.hardwarePerStep / gpus / peak,
  }
  if (measured['time.stepS'] !== undefined) return measured['time.stepS']
  for (const [field, amount] of Object.entries(amounts)) {
    const value = measured[field]
    if (value !== undefined) return amount / value
  }
  return null
}
