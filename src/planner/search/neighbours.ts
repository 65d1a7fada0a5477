/** The layouts one step away from the winner, each with the reason why it lost. */
import { checkLayout } from '../layout.js'
import type { StepTime } from '../time/step-time.js'
import type { Layout, Recompute, SearchResult, Sharding, TrainMemory, TrainRequest } from '../types.js'
import { memoryReason, slowerReason } from './reasons.js'

interface Tools {
  readonly request: TrainRequest
  readonly price: (layout: Layout) => { readonly time: StepTime }
  readonly memoryOf: (layout: Layout) => TrainMemory
}

interface Winner {
  readonly layout: Layout
  readonly time: StepTime
}

export function neighbours({ layout, time }: Winner, { request, price, memoryOf }: Tools): SearchResult['rejected'] {
  const rejected: { layout: Layout; reason: string }[] = []
  for (const [changed, other] of changes(layout, request)) {
    const broken = checkLayout({ ...request, layout: other })
    if (broken !== null) {
      rejected.push({ layout: other, reason: `${changed} is not possible: ${broken.reason}` })
      continue
    }
    const memory = memoryOf(other)
    if (!memory.fits) {
      rejected.push({ layout: other, reason: `${changed} does not fit: ${memoryReason(memory)}` })
      continue
    }
    const slower = price(other).time
    if (slower.stepS > time.stepS)
      rejected.push({ layout: other, reason: `${changed} is ${slowerReason(slower, time)}` })
  }
  return rejected
}

/** One dimension halved or doubled at a time; data parallelism takes up the slack. */
function changes(layout: Layout, request: TrainRequest): (readonly [string, Layout])[] {
  const { given, cluster, work } = request
  const found: (readonly [string, Layout])[] = []
  const free = (field: keyof Layout): boolean => !given.includes(field)
  const fitted = (changed: Layout): Layout => {
    const dp = cluster.gpus / (changed.tp * changed.pp * changed.cp)
    const vpp = changed.pp === layout.pp ? changed.vpp : 1
    const schedule = vpp === layout.vpp ? changed.schedule : '1f1b'
    return {
      ...changed,
      dp,
      vpp,
      schedule,
      stageLayers: null,
      microBatches: work.globalBatch / dp / changed.microBatch,
    }
  }
  for (const field of ['tp', 'pp', 'cp', 'ep', 'microBatch'] as const) {
    if (!free(field) || ((field === 'tp' || field === 'pp' || field === 'cp') && !free('dp'))) continue
    for (const value of [layout[field] / 2, layout[field] * 2]) {
      if (!Number.isInteger(value) || (field === 'ep' && layout.ep === 1)) continue
      const changed = fitted({ ...layout, [field]: value })
      if (Number.isInteger(changed.dp))
        found.push([`${field === 'microBatch' ? 'micro-batch' : field} ${value}`, changed])
    }
  }
  const lighter: Recompute = layout.recompute.kind === 'full' ? { kind: 'selective' } : { kind: 'none' }
  if (free('recompute') && layout.recompute.kind !== 'none') {
    found.push([`${lighter.kind} recomputation`, { ...layout, recompute: lighter }])
  }
  const plainer: Sharding = { kind: 'none' }
  if (free('sharding') && layout.sharding.kind !== 'none') found.push(['no sharding', { ...layout, sharding: plainer }])
  return found
}
