/**
 * Finds the fastest layouts that fit.
 *
 * Every candidate is priced by closed forms; memory is asked for from the fastest on. The best five are replayed
 * event by event and ranked again. Neighbours of the winner are named with the reason why they lost.
 */
import { intervalClass, rateQuantity, timeQuantity } from '../intervals.js'
import { trainFlops } from '../flops.js'
import { checkLayout, commonDivisors } from '../layout.js'
import { trainMemory } from '../memory.js'
import type { Calibration } from '../time/calibration.js'
import { gemmFormat, peakOf } from '../time/machine.js'
import { simulatePipeline } from '../time/pipeline-simulation.js'
import { pipelineTime } from '../time/pipeline-time.js'
import { type LayerPrices, stepTime, type StepTime } from '../time/step-time.js'
import type { Layout, RankedLayout, Refusal, SearchResult, TrainMemory, TrainRequest } from '../types.js'
import { candidates } from './candidates.js'
import { neighbours } from './neighbours.js'
import { memoryReason, whyRanked } from './reasons.js'

export interface SearchOutcome {
  readonly chosen: Layout
  readonly search: SearchResult
}

interface Priced {
  readonly layout: Layout
  readonly time: StepTime
}

/** Layouts that are simulated. */
const BEST = 5
/** Events of a replay from which on the closed form must do. */
const MOST_EVENTS = 60_000

/** A refusal when no layout is even possible; when none fits, the one with the least memory is chosen. */
export function searchLayouts(request: TrainRequest, calibration: Calibration): SearchOutcome | Refusal {
  const prices: LayerPrices = new Map()
  const price = (layout: Layout): Priced => ({ layout, time: stepTime(request, layout, calibration, prices) })
  const memoryOf = (layout: Layout): TrainMemory => trainMemory({ ...request, layout })
  let refusal: Refusal | null = null
  const priced: Priced[] = []
  for (const layout of candidates(request)) {
    const broken = checkLayout({ ...request, layout })
    if (broken === null) priced.push(price(layout))
    else refusal ??= broken
  }
  if (priced.length === 0) return refusal ?? nothingDivides(request)
  priced.sort((a, b) => a.time.stepS - b.time.stepS)
  const { fitting, front, least } = walk(priced, memoryOf)
  const best = fitting
    .map((entry) => ({ ...entry, time: simulated(entry.time, request, calibration) }))
    .toSorted((a, b) => a.time.stepS - b.time.stepS)
  const winner = best[0]
  const search: SearchResult = {
    considered: priced.length,
    best: best.map((entry, rank) => ranked(rank, entry, winner!, request, calibration)),
    rejected:
      winner === undefined
        ? [{ layout: least.layout, reason: memoryReason(least.memory) }]
        : neighbours(winner, { request, price, memoryOf }),
    pareto: front,
  }
  return { chosen: winner?.layout ?? least.layout, search }
}

interface Fitting extends Priced {
  readonly memory: TrainMemory
}

/**
 * From the fastest to the slowest: the first that fit, and the front of time against memory, which only layouts
 * that need less memory than all faster ones join.
 */
function walk(
  priced: readonly Priced[],
  memoryOf: (layout: Layout) => TrainMemory,
): { fitting: Fitting[]; front: SearchResult['pareto'][number][]; least: Fitting } {
  const fitting: Fitting[] = []
  const front: SearchResult['pareto'][number][] = []
  let least: Fitting | undefined
  const seen = new Set<string>()
  for (const { layout, time } of priced) {
    const memory = memoryOf(layout)
    const deviceGiB = memory.deviceGiB.p50
    if (least === undefined || deviceGiB < least.memory.deviceGiB.p50) {
      least = { layout, time, memory }
      if (memory.fits) front.push({ layout, stepS: time.stepS, deviceGiB })
    }
    // Layouts that differ in virtual stages, sharding or recomputation alone are one to the reader.
    const key = `${layout.tp} ${layout.pp} ${layout.cp} ${layout.ep} ${layout.microBatch}`
    if (memory.fits && fitting.length < BEST && !seen.has(key)) {
      seen.add(key)
      fitting.push({ layout, time, memory })
    }
  }
  return { fitting, front, least: least! }
}

/** The step with the schedule replayed instead of its closed form. */
export function simulated(time: StepTime, request: TrainRequest, calibration: Calibration): StepTime {
  const { pipeline } = time
  const events = 3 * pipeline.stages.length * pipeline.microBatches * pipeline.virtual
  // ZB-2p is found by an integer program; the rules here come short of it, its closed form does not.
  if (pipeline.stages.length === 1 || events > MOST_EVENTS || pipeline.schedule === 'zb-2p') return time
  const { stretch } = calibration.framework[request.software.framework]
  const closed = pipelineTime(pipeline)
  const replay = simulatePipeline(pipeline)
  const bubble = Math.max(0, (replay.total - closed.busy) * stretch - time.parts.ppComm)
  const parts = { ...time.parts, bubble }
  return { ...time, parts, stepS: time.stepS + bubble - time.parts.bubble, bubbleRate: replay.bubbleRate }
}

function ranked(
  rank: number,
  { layout, time, memory }: Fitting,
  best: Fitting,
  request: TrainRequest,
  calibration: Calibration,
): RankedLayout {
  const { cluster, numerics, mfu } = request
  const stepS = timeQuantity(time.stepS, calibration.interval[intervalClass(request, time.parts)])
  const peak = (mfu.peakTflops ?? peakOf(cluster.gpu, gemmFormat(numerics.precision)).tflops) * 1e12
  return {
    layout,
    stepS,
    deviceGiB: memory.deviceGiB,
    mfu: rateQuantity(trainFlops({ ...request, layout }).modelPerStep / cluster.gpus / peak, stepS),
    why: whyRanked(rank, time, best.time, memory.deviceGiB, memory.capacityGiB),
  }
}

/** Why there is not one candidate: given ranks that do not divide the GPUs, or else the batch. */
function nothingDivides({ work, cluster, layout, given, model }: TrainRequest): Refusal {
  const { gpus } = cluster
  const ranks = (['tp', 'pp', 'cp', 'dp'] as const).filter((field) => given.includes(field))
  const wrong = ranks.find((field) => gpus % layout[field] !== 0)
  if (wrong !== undefined) {
    const also = wrong === 'tp' ? model.kinds.map(({ attention }) => attention.heads) : []
    return {
      reason: `${wrong} ${layout[wrong]} does not divide ${gpus} GPUs`,
      suggestions: [`${wrong} of ${commonDivisors([gpus, ...also], gpus).join(', ')}`],
    }
  }
  if (gpus % ranks.reduce((product, field) => product * layout[field], 1) !== 0) {
    const product = ranks.map((field) => `${field} ${layout[field]}`).join(' × ')
    return { reason: `${product} does not divide ${gpus} GPUs`, suggestions: [`leave one of ${ranks.join(', ')} open`] }
  }
  return {
    reason: `no layout of ${gpus} GPUs divides a global batch of ${work.globalBatch} sequences`,
    suggestions: [`a global batch that is a multiple of ${gpus}`, 'leave tp, pp, cp or dp open'],
  }
}
