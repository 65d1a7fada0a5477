/**
 * A training plan from a resolved request: memory, time and what follows from them, and the search when asked for.
 *
 * Puts together what the other files compute; its own part is the units of the answer, its provenance and warnings.
 */
import { trainFlops } from './flops.js'
import { intervalClass, rateQuantity, timeQuantity } from './intervals.js'
import { checkLayout } from './layout.js'
import { trainMemory } from './memory.js'
import { countParameters, kindParameters } from './parameters.js'
import { searchLayouts, simulated } from './search/search.js'
import { doesNotFit } from './search/reasons.js'
import { type Calibration, shippedCalibration } from './time/calibration.js'
import { architectureOf, gemmFormat, peakOf } from './time/machine.js'
import { presetOf } from './time/presets.js'
import { balancedLayers } from './time/stages.js'
import { stepTime } from './time/step-time.js'
import { trainProvenance } from './train-provenance.js'
import { trainInputs } from './train-request.js'
import type { Quantity, SearchResult, TrainPlan, TrainRequest, TrainResult, TrainThroughput } from './types.js'

export function planTrainRequest(request: TrainRequest, calibration: Calibration = shippedCalibration()): TrainPlan {
  const asked = withPreset(request)
  if (!asked.search) {
    const refusal = checkLayout(asked)
    if (refusal !== null) return { ...headOf(asked), status: 'refused', ...refusal }
    return answered(asked, evaluate(asked, calibration))
  }
  const outcome = searchLayouts(asked, calibration)
  if ('reason' in outcome) return { ...headOf(asked), status: 'refused', ...outcome }
  const chosen = { ...asked, layout: outcome.chosen }
  return answered(chosen, { ...evaluate(chosen, calibration), search: outcome.search })
}

/**
 * The layout as the framework would run it: what it hides by itself, and how Nanotron cuts stages, where the user
 * did not say otherwise.
 */
export function withPreset(request: TrainRequest): TrainRequest {
  const { given, layout, model, software } = request
  const overlap = given.includes('overlap') ? layout.overlap : presetOf(software, request.numerics).overlap
  const balances = software.framework === 'nanotron' && layout.pp > 1 && layout.vpp === 1 && layout.stageLayers === null
  const [kind] = kindParameters(model)
  const stageLayers =
    balances && kind !== undefined && layout.pp <= model.layerKinds.length
      ? balancedLayers(model.layerKinds.length, layout.pp, model.vocab * model.hidden, kind.matrices)
      : layout.stageLayers
  return { ...request, layout: { ...layout, overlap, stageLayers } }
}

function headOf(
  request: TrainRequest,
): Pick<TrainPlan, 'schema' | 'id' | 'inputs' | 'reason' | 'suggestions' | 'status'> {
  return {
    schema: 'gristmill.plan.train/1',
    id: request.id,
    status: 'ok',
    reason: null,
    suggestions: [],
    inputs: trainInputs(request),
  }
}

function answered(request: TrainRequest, result: TrainResult): TrainPlan {
  const refusal = result.memory.fits ? null : doesNotFit(request, result.memory)
  return { ...headOf(request), ...(refusal === null ? {} : { status: 'does-not-fit' as const, ...refusal }), ...result }
}

/** Everything about one layout; assumes that `checkLayout` has nothing against it. */
export function evaluate(
  request: TrainRequest,
  calibration: Calibration,
): TrainResult & { readonly search?: SearchResult } {
  const { work, cluster, layout } = request
  const flops = trainFlops(request)
  const time = simulated(stepTime(request, layout, calibration), request, calibration)
  const kind = intervalClass(request, time.parts)
  const stepS = timeQuantity(time.stepS, calibration.interval[kind])
  const tokens = work.globalBatch * work.seq
  return {
    params: countParameters(request.model, request.trainable),
    flops,
    time: { stepS, parts: time.parts, bubbleRate: time.bubbleRate },
    throughput: throughputOf(request, stepS, flops),
    memory: trainMemory(request),
    total: totalOf(request, tokens / time.stepS),
    dataMBs: ((tokens / time.stepS) * tokenBytes(request.model.vocab)) / 1e6,
    provenance: trainProvenance(request, time.parts),
    fittedOn: calibration.fittedOn,
    warnings: warningsOf(request, kind, cluster.gpus),
  }
}

function throughputOf(
  { work, cluster, numerics, mfu }: TrainRequest,
  stepS: Quantity,
  flops: { readonly modelPerStep: number; readonly hardwarePerStep: number },
): TrainThroughput {
  const { gpus, gpu } = cluster
  const tokens = work.globalBatch * work.seq
  const peakTflops = mfu.peakTflops ?? peakOf(gpu, gemmFormat(numerics.precision)).tflops
  const tera = gpus * 1e12
  return {
    tokensPerS: rateQuantity(tokens, stepS),
    tokensPerSPerGpu: rateQuantity(tokens / gpus, stepS),
    samplesPerSPerGpu: rateQuantity(work.globalBatch / gpus, stepS),
    modelTflopsPerGpu: rateQuantity(flops.modelPerStep / tera, stepS),
    hardwareTflopsPerGpu: rateQuantity(flops.hardwarePerStep / tera, stepS),
    mfu: rateQuantity(flops.modelPerStep / tera / peakTflops, stepS),
    hfu: rateQuantity(flops.hardwarePerStep / tera / peakTflops, stepS),
    peakTflops,
  }
}

function totalOf({ work, cluster }: TrainRequest, tokensPerS: number): TrainResult['total'] {
  if (work.tokens === null) return null
  const hours = work.tokens / tokensPerS / 3600
  const gpuHours = hours * cluster.gpus
  const cost = work.priceUsdPerGpuHour === null ? null : gpuHours * work.priceUsdPerGpuHour
  return { days: hours / 24, gpuHours, cost }
}

/** Token ids are 16 bits while the vocabulary leaves room, else 32 (Megatron's `.bin`). */
function tokenBytes(vocab: number): number {
  return vocab < 65_500 ? 2 : 4
}

function warningsOf(request: TrainRequest, kind: string, gpus: number): string[] {
  const { cluster, software, layout, work } = request
  const warnings: string[] = []
  if (kind === 'unseen') {
    warnings.push(`no published run on ${architectureOf(cluster.gpu)} was fitted: times rest on the prior alone`)
  }
  if (software.framework === 'deepspeed' || software.framework === 'maxtext') {
    warnings.push(`${software.framework} has few or no calibration rows: times follow the physics`)
  }
  if (layout.tp > cluster.scaleUpGpus) {
    warnings.push(`tp ${layout.tp} leaves the fast domain of ${cluster.scaleUpGpus} GPUs`)
  }
  if (gpus > 1 && (work.globalBatch * work.seq) / gpus < 2048) {
    warnings.push('fewer than 2,048 tokens a GPU and step: latencies, not modelled in detail, will dominate')
  }
  return warnings
}
