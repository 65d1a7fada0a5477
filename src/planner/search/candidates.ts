/** The layouts a search looks at: every combination of what the user left open, within what makes sense. */
import type { Layout, Recompute, Sharding, TrainRequest } from '../types.js'

/** Micro-batches larger than this do not make products more efficient. */
const MOST_TOKENS = 65_536
const MOST_CANDIDATES = 20_000

export function candidates(request: TrainRequest): Layout[] {
  const { cluster, model, work, layout: base } = request
  const open = <K extends keyof Layout>(field: K, values: () => readonly Layout[K][]): readonly Layout[K][] =>
    request.given.includes(field) ? [base[field]] : values()
  const experts = model.kinds.flatMap(({ mlp }) => (mlp.kind === 'experts' ? [mlp.experts] : []))
  const found: Layout[] = []
  const stagesGiven = base.stageLayers !== null && !request.given.includes('pp')
  for (const tp of open('tp', () => powers(Math.min(cluster.scaleUpGpus, 16, cluster.gpus)))) {
    for (const pp of stagesGiven
      ? [base.pp]
      : open('pp', () => stageCounts(model.layerKinds.length, cluster.gpus / tp))) {
      for (const cp of open('cp', () => (work.seq >= 16_384 ? powers(Math.min(16, cluster.gpus / tp / pp)) : [1]))) {
        const dp = cluster.gpus / (tp * pp * cp)
        if (!Number.isInteger(dp) || (request.given.includes('dp') && dp !== base.dp)) continue
        if (work.globalBatch % dp !== 0) continue
        for (const ep of open('ep', () => expertRanks(experts, tp * cp * dp))) {
          push(found, request, open, { tp, pp, cp, dp, ep })
          if (found.length >= MOST_CANDIDATES) return found
        }
      }
    }
  }
  return found
}

type Ranks = Pick<Layout, 'tp' | 'pp' | 'cp' | 'dp' | 'ep'>
type Open = <K extends keyof Layout>(field: K, values: () => readonly Layout[K][]) => readonly Layout[K][]

function push(found: Layout[], request: TrainRequest, open: Open, ranks: Ranks): void {
  const { model, work, layout: base } = request
  const perReplica = work.globalBatch / ranks.dp
  const { pp, tp } = ranks
  const etp = request.given.includes('etp') || ranks.ep > 1 ? base.etp : hasExperts(request) ? tp : 1
  const stageLayers = base.stageLayers
  for (const microBatch of microBatches(request, open, perReplica, ranks.cp)) {
    for (const vpp of open('vpp', () => chunkCounts(model.layerKinds.length, pp, request))) {
      for (const sharding of open('sharding', () => shardings(base.sharding, ranks))) {
        for (const recompute of open('recompute', () => RECOMPUTE)) {
          found.push({
            ...base,
            ...ranks,
            etp,
            vpp,
            sharding,
            recompute,
            microBatch,
            microBatches: perReplica / microBatch,
            stageLayers,
            sequenceParallel: request.given.includes('sequenceParallel') ? base.sequenceParallel : tp > 1,
            schedule: request.given.includes('schedule') ? base.schedule : vpp > 1 ? 'interleaved' : '1f1b',
          })
        }
      }
    }
  }
}

const RECOMPUTE: readonly Recompute[] = [{ kind: 'none' }, { kind: 'selective' }, { kind: 'full', layers: null }]

function hasExperts({ model }: TrainRequest): boolean {
  return model.kinds.some(({ mlp }) => mlp.kind === 'experts')
}

function powers(most: number): number[] {
  const found: number[] = []
  for (let n = 1; n <= most; n *= 2) found.push(n)
  return found
}

/** Divisors of the layers, and of the layers and two (embedding and loss as layers), that divide the GPUs. */
function stageCounts(layers: number, gpus: number): number[] {
  const found: number[] = []
  for (let pp = 1; pp <= Math.min(layers, gpus, 128); pp += 1) {
    if (gpus % pp === 0 && (layers % pp === 0 || (layers + 2) % pp === 0)) found.push(pp)
  }
  return found
}

function chunkCounts(layers: number, pp: number, request: TrainRequest): number[] {
  if (pp === 1 || request.given.includes('stageLayers')) return [1]
  if (request.given.includes('schedule') && request.layout.schedule !== 'interleaved') return [1]
  const found = [1]
  for (const vpp of [2, 3, 4, 5, 6, 8, 10]) if (layers % (pp * vpp) === 0) found.push(vpp)
  return found
}

function expertRanks(experts: readonly number[], ranks: number): number[] {
  if (experts.length === 0) return [1]
  return powers(Math.min(...experts, ranks)).filter(
    (ep) => experts.every((count) => count % ep === 0) && ranks % ep === 0,
  )
}

function microBatches(request: TrainRequest, open: Open, perReplica: number, cp: number): readonly number[] {
  if (request.given.includes('microBatches')) {
    const size = perReplica / request.layout.microBatches
    return Number.isInteger(size) ? [size] : []
  }
  return open('microBatch', () =>
    powers(perReplica).filter((n) => n === 1 || (n * request.work.seq) / cp <= MOST_TOKENS),
  ).filter((size) => perReplica % size === 0)
}

/** The framework's own way, and the one that saves most memory. */
function shardings(base: Sharding, { dp, cp, pp }: Ranks): readonly Sharding[] {
  if (dp * cp === 1) return [{ kind: 'none' }]
  const whole: Sharding = { kind: 'fsdp' }
  if (base.kind === 'fsdp' || base.kind === 'zero3') return [base, { kind: 'zero2' }]
  // Gathering weights in every micro-batch of a pipeline costs more than it saves.
  return pp > 1 ? [base] : [base, whole]
}
