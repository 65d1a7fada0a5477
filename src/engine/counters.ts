/**
 * What a task counts while it works.
 */
import type { StepMetrics } from '../observe/metrics.js'

/** Counts of one step in one task; `toMetrics` gives the plain form that crosses threads. */
export class StepCounters {
  readonly step: string
  rowsIn = 0
  rowsOut = 0
  bytesIn = 0
  bytesOut = 0
  busyMs = 0
  waitMs = 0
  reusedRows = 0

  constructor(step: string) {
    this.step = step
  }

  toMetrics(): StepMetrics {
    const { step, rowsIn, rowsOut, bytesIn, bytesOut, busyMs, waitMs, reusedRows } = this
    const times = { busySeconds: busyMs / 1000, waitSeconds: waitMs / 1000 }
    return { step, rowsIn, rowsOut, bytesIn, bytesOut, ...times, ...(reusedRows > 0 && { reusedRows }) }
  }
}

/**
 * Times the source's reading and parsing. While it waits for bytes the worker has nothing else to do, so the
 * event loop's idle time is the time it waited.
 */
export async function* timed<T>(
  batches: AsyncGenerator<T>,
  counters: Pick<StepCounters, 'busyMs' | 'waitMs'>,
): AsyncGenerator<T> {
  const { eventLoopUtilization } = performance
  try {
    while (true) {
      const start = performance.now()
      const before = eventLoopUtilization()
      const next = await batches.next()
      const elapsed = performance.now() - start
      const waited = Math.min(elapsed, eventLoopUtilization(before).idle)
      counters.waitMs += waited
      counters.busyMs += elapsed - waited
      if (next.done) return
      yield next.value
    }
  } finally {
    await batches.return(undefined)
  }
}

/** Adds metrics of the same steps; the first list gives the order. */
export function addStepMetrics(lists: readonly (readonly StepMetrics[])[]): StepMetrics[] {
  const sums = new Map<string, StepMetrics>()
  for (const metrics of lists.flat()) {
    const sum = sums.get(metrics.step)
    sums.set(metrics.step, sum === undefined ? metrics : add(sum, metrics))
  }
  return [...sums.values()]
}

/** Adds named counts; `largest` is the largest. */
export function addCounts(lists: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {}
  for (const counts of lists) {
    for (const [name, count] of Object.entries(counts)) {
      const before = sums[name] ?? 0
      sums[name] = name === 'largest' ? Math.max(before, count) : before + count
    }
  }
  return sums
}

function add(a: StepMetrics, b: StepMetrics): StepMetrics {
  const reusedRows = (a.reusedRows ?? 0) + (b.reusedRows ?? 0)
  return {
    step: a.step,
    rowsIn: a.rowsIn + b.rowsIn,
    rowsOut: a.rowsOut + b.rowsOut,
    bytesIn: a.bytesIn + b.bytesIn,
    bytesOut: a.bytesOut + b.bytesOut,
    busySeconds: a.busySeconds + b.busySeconds,
    waitSeconds: a.waitSeconds + b.waitSeconds,
    ...(reusedRows > 0 && { reusedRows }),
  }
}

/** Counts values by the power of two below them: bin k holds [2^k, 2^(k+1)), the value 0 goes to bin -1. */
export class LengthHistogram {
  readonly counts = new Map<number, number>()

  add(length: number): void {
    const bin = length < 1 ? -1 : Math.floor(Math.log2(length))
    this.counts.set(bin, (this.counts.get(bin) ?? 0) + 1)
  }

  toJson(): [bin: number, count: number][] {
    return [...this.counts].toSorted(([a], [b]) => a - b)
  }
}
