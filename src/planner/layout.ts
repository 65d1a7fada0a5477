/**
 * Whether a layout is possible, and which layers each stage holds. Every refusal says what would work.
 *
 * Fits in memory is not asked here (`memory.ts`), nor is speed.
 */
import type { Layout, Model, Refusal, TrainRequest } from './types.js'

/** The first rule a layout breaks, or null. */
export function checkLayout(request: TrainRequest): Refusal | null {
  for (const rule of RULES) {
    const broken = rule(request)
    if (broken !== null) return broken
  }
  return null
}

type Rule = (request: TrainRequest) => Refusal | null

/** Divisors of all of `numbers`, at most eight, for suggestions. */
export function commonDivisors(numbers: readonly number[], most: number): readonly number[] {
  const smallest = Math.min(...numbers, most)
  const fitting: number[] = []
  for (let n = 1; n <= smallest; n++) if (numbers.every((number) => number % n === 0)) fitting.push(n)
  return fitting.slice(-8)
}

const positive: Rule = ({ layout }) => {
  const fields = ['tp', 'pp', 'vpp', 'dp', 'cp', 'ep', 'etp', 'microBatch', 'microBatches'] as const
  const wrong = fields.find((field) => !Number.isSafeInteger(layout[field]) || layout[field] < 1)
  return wrong === undefined
    ? null
    : { reason: `${wrong} is ${layout[wrong]}, expected a whole number of at least 1`, suggestions: [`${wrong} 1`] }
}

const worldSize: Rule = ({ layout, cluster }) => {
  const { tp, pp, cp, dp } = layout
  if (tp * pp * cp * dp === cluster.gpus) return null
  const model = tp * pp * cp
  return {
    reason: `tp ${tp} × pp ${pp} × cp ${cp} × dp ${dp} is ${model * dp} GPUs, not ${cluster.gpus}`,
    suggestions:
      cluster.gpus % model === 0
        ? [`dp ${cluster.gpus / model}`]
        : [`a product of tp, pp and cp that divides ${cluster.gpus}`],
  }
}

const headsSplit: Rule = ({ model, layout }) => {
  for (const { attention } of model.kinds) {
    const kvHeads = attention.kind === 'grouped' ? attention.kvHeads : attention.heads
    const kvSplit = kvHeads % layout.tp === 0 || layout.tp % kvHeads === 0 // more ranks than key heads: copies
    if (attention.heads % layout.tp === 0 && kvSplit) continue
    const which = attention.heads % layout.tp === 0 ? `${kvHeads} key-value heads` : `${attention.heads} heads`
    const fitting = commonDivisors([attention.heads], attention.heads).filter(
      (tp) => kvHeads % tp === 0 || tp % kvHeads === 0,
    )
    return { reason: `tp ${layout.tp} does not divide ${which}`, suggestions: [`tp of ${fitting.join(', ')}`] }
  }
  return null
}

const widthsSplit: Rule = ({ model, layout }) => {
  for (const { mlp } of model.kinds) {
    const parts: [what: string, width: number, ranks: number, option: string][] = [
      ['hidden size', model.hidden, layout.tp, 'tp'],
      mlp.kind === 'dense' ? ['MLP width', mlp.ffn, layout.tp, 'tp'] : ['expert width', mlp.ffn, layout.etp, 'etp'],
    ]
    for (const [what, width, ranks, option] of parts) {
      if (width % ranks === 0) continue
      const fitting = commonDivisors([width], 64)
      return {
        reason: `${option} ${ranks} does not divide the ${what} ${width}`,
        suggestions: [`${option} of ${fitting.join(', ')}`],
      }
    }
  }
  return null
}

const expertsSplit: Rule = ({ model, layout, cluster }) => {
  const { ep, etp, pp } = layout
  const counts = model.kinds.flatMap(({ mlp }) => (mlp.kind === 'experts' ? [mlp.experts] : []))
  if (counts.length === 0) {
    return ep === 1 && etp === 1
      ? null
      : { reason: `ep ${ep}, etp ${etp}: ${model.name} has no experts`, suggestions: ['ep 1, etp 1'] }
  }
  const ranks = cluster.gpus / pp
  if (counts.every((experts) => experts % ep === 0) && ranks % (ep * etp) === 0) return null
  const fitting = commonDivisors([...counts, ranks / etp].filter(Number.isInteger), ranks)
  return {
    reason: counts.every((experts) => experts % ep === 0)
      ? `ep ${ep} × etp ${etp} does not divide the ${ranks} GPUs of a stage`
      : `ep ${ep} does not divide ${counts.join(' and ')} experts`,
    suggestions: [`ep of ${fitting.join(', ')}`],
  }
}

const sequenceSplit: Rule = ({ layout, work }) => {
  const { cp, tp, sequenceParallel } = layout
  // Causal work is balanced by giving each rank a chunk from the front and one from the back: 2·cp chunks.
  const chunks = cp > 1 ? 2 * cp : 1
  if (work.seq % chunks !== 0) {
    const fitting = commonDivisors([work.seq], 64).filter((n) => work.seq % (2 * n) === 0)
    return {
      reason: `cp ${cp} cuts sequences in ${chunks} chunks, which do not divide ${work.seq} tokens`,
      suggestions: [`cp of ${fitting.join(', ')}`],
    }
  }
  if (sequenceParallel && (work.seq / cp) % tp !== 0) {
    return {
      reason: `sequence parallelism: tp ${tp} does not divide the ${work.seq / cp} tokens of a rank`,
      suggestions: [`a sequence length that ${tp * cp} divides`, 'sequence-parallel off'],
    }
  }
  return null
}

const layersSplit: Rule = ({ model, layout }) => {
  const layers = model.layerKinds.length
  const { pp, vpp, stageLayers, schedule } = layout
  if (vpp > 1 && schedule !== 'interleaved') {
    return { reason: `vpp ${vpp} with schedule ${schedule}`, suggestions: ['schedule interleaved', 'vpp 1'] }
  }
  if (stageLayers !== null) {
    const sum = stageLayers.reduce((total, count) => total + count, 0)
    const whole = stageLayers.every((count) => Number.isSafeInteger(count) && count >= 0)
    if (sum === layers && whole && (stageLayers.length === pp || stageLayers.length === pp * vpp)) return null
    return {
      reason: `stage layers ${stageLayers.join(',')} are ${stageLayers.length} stages of ${sum} layers, not ${pp} of ${layers}`,
      suggestions: [`stage layers ${evenSplit(layers, pp, true).join(',')}`],
    }
  }
  if (pp * vpp > layers + 2) {
    return {
      reason: `pp ${pp} × vpp ${vpp} is more than the ${layers} layers`,
      suggestions: [`pp × vpp of at most ${layers}`],
    }
  }
  return null
}

const batchSplit: Rule = ({ layout, work }) => {
  const { dp, microBatch, microBatches } = layout
  if (dp * microBatch * microBatches === work.globalBatch) return null
  const perReplica = work.globalBatch / dp
  return {
    reason: `dp ${dp} × micro-batch ${microBatch} × ${microBatches} micro-batches is ${dp * microBatch * microBatches} sequences, not ${work.globalBatch}`,
    suggestions: Number.isInteger(perReplica)
      ? [`micro-batch of ${commonDivisors([perReplica], perReplica).join(', ')}`]
      : [`a global batch that dp ${dp} divides, as in ${Math.max(1, Math.round(perReplica)) * dp}`],
  }
}

const shardGroups: Rule = ({ layout }) => {
  const { sharding, dp, cp } = layout
  if (sharding.kind !== 'hsdp' || (dp * cp) % sharding.group === 0) return null
  return {
    reason: `hsdp groups of ${sharding.group} do not divide ${dp * cp} data-parallel ranks`,
    suggestions: [`hsdp of ${commonDivisors([dp * cp], dp * cp).join(', ')}`],
  }
}

const RULES: readonly Rule[] = [
  positive,
  worldSize,
  headsSplit,
  widthsSplit,
  expertsSplit,
  sequenceSplit,
  layersSplit,
  batchSplit,
  shardGroups,
]

/**
 * Layers of each part, in order. When `parts` does not divide them, the first and last part get fewer, because the
 * embedding and the output projection are there: 22 layers on 8 stages are 2, 3, 3, 3, 3, 3, 3, 2.
 */
function evenSplit(layers: number, parts: number, edgesWeigh: boolean): readonly number[] {
  const base = Math.floor(layers / parts)
  const left = layers - base * parts
  if (left === 0) return Array<number>(parts).fill(base)
  const counts = Array<number>(parts).fill(base)
  // What is left goes to the inner parts first, nearest the front.
  const order =
    edgesWeigh && parts > 2 ? [...Array(parts - 2).keys()].map((i) => i + 1).concat(0, parts - 1) : [...counts.keys()]
  for (const index of order.slice(0, left)) counts[index]! += 1
  return counts
}

/** A run of layers on one stage: one for each of its `vpp` chunks. */
export interface Chunk {
  readonly stage: number
  /** Position in the model: chunk `c` of stage `s` is `c·pp + s`. */
  readonly position: number
  readonly firstLayer: number
  readonly layers: number
}

/** The chunks of every stage, in the order of the layers. */
export function chunksOf(model: Model, layout: Pick<Layout, 'pp' | 'vpp' | 'stageLayers'>): readonly Chunk[] {
  const { pp, vpp, stageLayers } = layout
  const total = model.layerKinds.length
  const counts =
    stageLayers === null
      ? evenSplit(total, pp * vpp, true)
      : stageLayers.length === pp * vpp
        ? stageLayers
        : Array.from({ length: pp * vpp }, (_, position) =>
            spread(stageLayers[position % pp]!, vpp, Math.floor(position / pp)),
          )
  let firstLayer = 0
  return counts.map((layers, position) => {
    const chunk = { stage: position % pp, position, firstLayer, layers }
    firstLayer += layers
    return chunk
  })
}

/** The share of chunk `index` when `layers` are spread over `chunks`. */
function spread(layers: number, chunks: number, index: number): number {
  return Math.floor(layers / chunks) + (index < layers % chunks ? 1 : 0)
}

const prefixes = new WeakMap<Model, readonly Int32Array[]>()

/** For each kind, how many of the layers before each position are of it. */
function prefixCounts(model: Model): readonly Int32Array[] {
  const known = prefixes.get(model)
  if (known !== undefined) return known
  const counts = model.kinds.map((_, kind) => {
    const before = new Int32Array(model.layerKinds.length + 1)
    model.layerKinds.forEach((index, layer) => {
      before[layer + 1] = before[layer]! + (index === kind ? 1 : 0)
    })
    return before
  })
  prefixes.set(model, counts)
  return counts
}

/** Layers of a chunk by kind: `[index of the kind, how many]`, kinds without layers left out. */
export function kindsOf(model: Model, chunk: Chunk): readonly (readonly [kind: number, layers: number])[] {
  const end = chunk.firstLayer + chunk.layers
  const found: (readonly [number, number])[] = []
  prefixCounts(model).forEach((before, kind) => {
    const layers = before[end]! - before[chunk.firstLayer]!
    if (layers > 0) found.push([kind, layers])
  })
  return found
}
