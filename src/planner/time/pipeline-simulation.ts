/**
 * Replays a pipeline schedule event by event: which rank does what when.
 *
 * GPipe, 1F1B and interleaved 1F1B have fixed orders (Narayanan et al. 2021, arXiv:2104.04473, figures 3 and 4).
 * The zero-bubble schedules are made as the clock runs, by the paper's own rules (Qi et al. 2024,
 * arXiv:2401.10241, section 3.1): backward first, then forward while memory lasts, weight gradients to fill gaps.
 * Closed forms of the same schedules are in `pipeline-time.ts`.
 */
import type { PipelineShape, StageSeconds } from './pipeline-time.js'

export interface PipelineEvent {
  /** Forward, backward (of inputs, or of both where weights are not apart), or weight gradients. */
  readonly pass: 'F' | 'B' | 'W'
  readonly microBatch: number
  /** Virtual stage on the rank. */
  readonly chunk: number
  readonly start: number
  readonly end: number
}

export interface PipelineReplay {
  readonly total: number
  /** (total − busiest rank's work) / total, as Qi et al. define the bubble rate. */
  readonly bubbleRate: number
  /** Events of each rank, in order. */
  readonly ranks: readonly (readonly PipelineEvent[])[]
}

export function simulatePipeline(shape: PipelineShape): PipelineReplay {
  if (!shape.schedule.startsWith('zb')) return replayOf(shape, fixedOrder(shape))
  // The paper's scheduler tries a grid of such rules and keeps the best (section 3.1).
  let best: PipelineReplay | undefined
  for (const rules of rulesOf(shape)) {
    const replay = replayOf(shape, zeroBubble(shape, rules))
    if (best === undefined || replay.total < best.total) best = replay
  }
  return best!
}

function replayOf(shape: PipelineShape, ranks: readonly (readonly PipelineEvent[])[]): PipelineReplay {
  // Zero-bubble schedules do not synchronise at the optimizer (Qi et al., section 4), so a rank that starts later may
  // end later: what counts is the longest of the ranks' own spans.
  const staggered = shape.schedule.startsWith('zb')
  const spans = ranks.map((events) => (events.at(-1)?.end ?? 0) - (staggered ? (events[0]?.start ?? 0) : 0))
  const total = Math.max(...spans)
  const busiest = Math.max(...shape.stages.map((s) => s.forward + s.backwardInput + s.backwardWeight))
  return { total, bubbleRate: 1 - (busiest * shape.microBatches) / total, ranks }
}

interface Op {
  readonly pass: 'F' | 'B'
  readonly microBatch: number
  readonly chunk: number
}

function fixedOrder(shape: PipelineShape): PipelineEvent[][] {
  const { stages, virtual, transfer } = shape
  const p = stages.length
  // Interleaving deals whole groups of p: a last group that is not full is filled up with micro-batches of no length.
  const microBatches = virtual > 1 ? Math.ceil(shape.microBatches / p) * p : shape.microBatches
  const orders = stages.map((_, rank) => orderOf({ ...shape, microBatches }, rank))
  const events: PipelineEvent[][] = stages.map(() => [])
  const last = p * virtual - 1
  // When the output of (position, micro-batch) is there, in each direction; positions run through all chunks.
  const forward = new Float64Array(p * virtual * microBatches).fill(Number.NaN)
  const backward = new Float64Array(p * virtual * microBatches).fill(Number.NaN)
  const readyAt = ({ pass, microBatch, chunk }: Op, rank: number): number => {
    const position = chunk * p + rank
    const at = (of: Float64Array, where: number): number => of[where * microBatches + microBatch]!
    if (pass === 'F') return position === 0 ? 0 : at(forward, position - 1) + transfer
    return position === last ? at(forward, position) : at(backward, position + 1) + transfer
  }
  const next = stages.map(() => 0)
  const free = stages.map(() => 0)
  for (let moved = true; moved;) {
    moved = false
    for (let rank = 0; rank < p; rank += 1) {
      for (;;) {
        const op = orders[rank]![next[rank]!]
        if (op === undefined) break
        const ready = readyAt(op, rank)
        if (Number.isNaN(ready)) break
        const start = Math.max(free[rank]!, ready)
        const real = op.microBatch < shape.microBatches
        const end = start + (real ? secondsOf(op.pass, stages[rank]!, virtual) : 0)
        if (real) events[rank]!.push({ ...op, start, end })
        ;(op.pass === 'F' ? forward : backward)[(op.chunk * p + rank) * microBatches + op.microBatch] = end
        free[rank] = end
        next[rank]! += 1
        moved = true
      }
    }
  }
  return events
}

/** Weight gradients follow their backward pass at once where no schedule moves them. */
function secondsOf(pass: 'F' | 'B', stage: StageSeconds, virtual: number): number {
  return (pass === 'F' ? stage.forward : stage.backwardInput + stage.backwardWeight) / virtual
}

function orderOf({ schedule, stages, virtual, microBatches }: PipelineShape, rank: number): Op[] {
  const p = stages.length
  const forwards = dealt(p, virtual, microBatches, 'F')
  const backwards = dealt(p, virtual, microBatches, 'B')
  if (schedule === 'gpipe') return [...forwards, ...backwards]
  const ahead = virtual === 1 ? p - rank - 1 : 2 * (p - rank - 1) + (virtual - 1) * p
  const warm = Math.min(ahead, forwards.length)
  const order = forwards.slice(0, warm)
  for (let k = 0; k + warm < forwards.length; k += 1) order.push(forwards[warm + k]!, backwards[k]!)
  return [...order, ...backwards.slice(forwards.length - warm)]
}

/** Micro-batches in groups of p, each group through all chunks before the next (chunks from the last, backward). */
function dealt(p: number, virtual: number, microBatches: number, pass: 'F' | 'B'): Op[] {
  const ops: Op[] = []
  for (let group = 0; group < microBatches; group += p) {
    for (let turn = 0; turn < virtual; turn += 1) {
      const chunk = pass === 'F' ? turn : virtual - 1 - turn
      for (let microBatch = group; microBatch < Math.min(group + p, microBatches); microBatch += 1) {
        ops.push({ pass, microBatch, chunk })
      }
    }
  }
  return ops
}

/** State of a rank while a zero-bubble schedule is made. */
interface Worker {
  free: number
  forwards: number
  backwards: number
  weights: number
  readonly events: PipelineEvent[]
}

function zeroBubble(shape: PipelineShape, rules: Rules): PipelineEvent[][] {
  const { stages, microBatches, transfer } = shape
  const p = stages.length
  const workers: Worker[] = stages.map(() => ({ free: 0, forwards: 0, backwards: 0, weights: 0, events: [] }))
  const forwardEnd = stages.map(() => new Float64Array(microBatches).fill(Number.POSITIVE_INFINITY))
  const backwardEnd = stages.map(() => new Float64Array(microBatches).fill(Number.POSITIVE_INFINITY))
  const arrives = (ends: readonly Float64Array[], rank: number, microBatch: number, hop: number): number =>
    rank < 0 ? 0 : (ends[rank]?.[microBatch] ?? 0) + hop
  for (let left = 3 * p * microBatches; left > 0; left -= 1) {
    let chosen: { rank: number; pass: 'F' | 'B' | 'W'; start: number } | undefined
    for (const [rank, worker] of workers.entries()) {
      const forwardAt =
        worker.forwards < microBatches ? arrives(forwardEnd, rank - 1, worker.forwards, transfer) : Infinity
      const backwardAt =
        worker.backwards >= worker.forwards
          ? Infinity
          : rank === p - 1
            ? forwardEnd[rank]![worker.backwards]!
            : arrives(backwardEnd, rank + 1, worker.backwards, transfer)
      const choice = choose(worker, {
        forwardAt,
        backwardAt,
        ahead: rules.ahead(rank, worker.backwards),
        room: rules.room,
        lag: rules.lag(rank, worker.backwards),
        patience: 3 * transfer,
      })
      if (choice !== undefined && (chosen === undefined || choice.start < chosen.start)) chosen = { rank, ...choice }
    }
    const { rank, pass, start } = chosen!
    const worker = workers[rank]!
    const stage = stages[rank]!
    const seconds = pass === 'F' ? stage.forward : pass === 'B' ? stage.backwardInput : stage.backwardWeight
    const microBatch = pass === 'F' ? worker.forwards : pass === 'B' ? worker.backwards : worker.weights
    worker.free = start + seconds
    worker.events.push({ pass, microBatch, chunk: 0, start, end: worker.free })
    if (pass === 'F') forwardEnd[rank]![microBatch] = worker.free
    if (pass === 'B') backwardEnd[rank]![microBatch] = worker.free
    worker[pass === 'F' ? 'forwards' : pass === 'B' ? 'backwards' : 'weights'] += 1
  }
  return workers.map(({ events }) => events)
}

interface Options {
  readonly forwardAt: number
  readonly backwardAt: number
  /** Micro-batches that may be between forward and backward: more would make a backward pass wait. */
  readonly ahead: number
  /** Micro-batches whose activations the rank may hold, until their weight gradients are made. */
  readonly room: number
  /** Weight gradients that may wait. */
  readonly lag: number
  /** Seconds a rank rather waits for its neighbour than starts a weight gradient. */
  readonly patience: number
}

/** Backward when it is there, else forward while there is room, else a weight gradient; else wait for the first. */
function choose(
  worker: Worker,
  { forwardAt, backwardAt, ahead, room, lag, patience }: Options,
): { pass: 'F' | 'B' | 'W'; start: number } | undefined {
  const allowed = worker.forwards - worker.weights < room && worker.forwards - worker.backwards < ahead
  const forward = allowed ? forwardAt : Infinity
  const pending = worker.weights < worker.backwards
  if (worker.backwards - worker.weights > lag) return { pass: 'W', start: worker.free }
  if (backwardAt <= worker.free) return { pass: 'B', start: worker.free }
  if (forward <= worker.free) return { pass: 'F', start: worker.free }
  const start = Math.min(backwardAt, forward)
  if (pending && start - worker.free >= patience) return { pass: 'W', start: worker.free }
  if (start === Infinity) return undefined
  return { pass: backwardAt <= forward ? 'B' : 'F', start }
}

/** What a zero-bubble schedule allows a rank. */
interface Rules {
  readonly ahead: (rank: number, backwards: number) => number
  readonly room: number
  readonly lag: (rank: number, backwards: number) => number
}

/**
 * ZB-1p and ZB-H1 hold what 1F1B's first rank holds, ZB-2p and ZB-H2 twice that.
 *
 * Weight gradients follow at once through most of the step and wait near its end, so that the last backward passes
 * come down the pipeline faster and there is work left to fill the ranks' waiting.
 */
function rulesOf({ schedule, stages, microBatches }: PipelineShape): Rules[] {
  const p = stages.length
  const one = schedule === 'zb-h1' || schedule === 'zb-1p'
  const room = one ? p : schedule === 'zb-h2' ? 2 * p - 1 : 2 * p
  const aheads: Rules['ahead'][] = one
    ? [(rank) => p - rank, (rank) => Math.min(p, p - rank + 1), (rank) => Math.min(p, p - rank + 2)]
    : [
        (rank) => 2 * (p - rank) - 1,
        // Full at the start, then only what keeps the pipeline busy: the room goes to waiting weight gradients.
        (rank, done) => Math.max(Math.min(2 * (p - rank) - 1, p - rank + 1), 2 * (p - rank) - 1 - done),
      ]
  const lags: Rules['lag'][] = [
    (rank, done) => (done >= microBatches - rank ? room : 0),
    (_rank, done) => (done >= microBatches - 2 * p ? room : 0),
    () => room,
  ]
  return aheads.flatMap((ahead) => lags.map((lag) => ({ ahead, room, lag })))
}
