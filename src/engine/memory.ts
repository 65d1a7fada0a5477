/**
 * The memory budget: what a plan needs at least, how large reads may be, and what happens under pressure.
 *
 * All workers are threads of one process, so its resident memory is the run's. The guard watches it: near
 * the budget, reads shrink and no new task starts until it falls.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { GristmillError } from '../core/errors.js'
import type { WorkerPool } from './worker-pool.js'

const MIB = 2 ** 20

/** Bytes read at a time when memory is plenty, and at least. */
const CHUNK_BYTES = { most: 4 * MIB, least: 256 * 1024 } as const

/** Resident memory of the process before any task, tokenizer included: measured at 130 to 190 MiB. */
const BASE_BYTES = 192 * MIB
/** What a worker needs on top with the smallest reads, and with ordinary ones. */
const WORKER_BYTES = { least: 96 * MIB, ordinary: 192 * MIB } as const

export interface MemoryPlan {
  readonly budgetBytes: number
  readonly minimumBytes: number
  readonly expectedBytes: number
  readonly chunkBytes: number
}

/** Checks that a run fits its budget; throws GM_MEMORY_PLAN with the number it would need. */
export function planMemory(budgetBytes: number, workers: number): MemoryPlan {
  const minimumBytes = BASE_BYTES + workers * WORKER_BYTES.least
  if (budgetBytes < minimumBytes) {
    const mib = (bytes: number): string => `${Math.ceil(bytes / MIB)} MiB`
    throw new GristmillError(
      'GM_MEMORY_PLAN',
      `${workers} workers need at least ${mib(minimumBytes)} of memory, but the budget is ${mib(budgetBytes)}`,
    )
  }
  const share = (budgetBytes - BASE_BYTES) / workers
  const chunk = Math.floor((share / WORKER_BYTES.ordinary) * CHUNK_BYTES.most)
  return {
    budgetBytes,
    minimumBytes,
    expectedBytes: Math.min(budgetBytes, BASE_BYTES + workers * WORKER_BYTES.ordinary),
    chunkBytes: Math.min(CHUNK_BYTES.most, Math.max(CHUNK_BYTES.least, chunk)),
  }
}

/** How often memory is looked at. */
const WATCH_MS = 250
/** Shares of the budget at which reads shrink and tasks wait, and at which they go on. */
const PRESSURE = { high: 0.92, low: 0.85 } as const

export class MemoryGuard implements Disposable {
  readonly #plan: MemoryPlan
  readonly #pool: WorkerPool
  readonly #timer: NodeJS.Timeout
  readonly #started = performance.now()
  readonly samples: { seconds: number; rssBytes: number }[] = []
  #chunkBytes: number
  #pressure = false
  #running = 0

  constructor(plan: MemoryPlan, pool: WorkerPool) {
    this.#plan = plan
    this.#pool = pool
    this.#chunkBytes = plan.chunkBytes
    this.#timer = setInterval(() => this.#watch(), WATCH_MS)
    this.#timer.unref()
    this.#watch()
  }

  /** Waits while memory is short, unless nothing else runs that could free some. */
  async admit(signal: AbortSignal): Promise<void> {
    while (this.#pressure && this.#running > 0 && !signal.aborted) await sleep(WATCH_MS)
  }

  taskStarted(): void {
    this.#running += 1
  }

  taskEnded(): void {
    this.#running -= 1
  }

  #watch(): void {
    const rssBytes = process.memoryUsage.rss()
    this.#record(rssBytes)
    const share = rssBytes / this.#plan.budgetBytes
    if (share > PRESSURE.high) {
      this.#pressure = true
      this.#setChunk(Math.max(CHUNK_BYTES.least, this.#chunkBytes / 2))
    } else if (share < PRESSURE.low) {
      this.#pressure = false
      this.#setChunk(Math.min(this.#plan.chunkBytes, this.#chunkBytes * 2))
    }
  }

  #setChunk(bytes: number): void {
    if (bytes === this.#chunkBytes) return
    this.#chunkBytes = bytes
    this.#pool.setChunkBytes(bytes)
  }

  /** Keeps at most 1,000 samples: when full, every second one goes and the rest stand for longer stretches. */
  #record(rssBytes: number): void {
    const seconds = Math.round(performance.now() - this.#started) / 1000
    this.samples.push({ seconds, rssBytes })
    if (this.samples.length >= 1000) {
      const thinned = this.samples.filter((_, index) => index % 2 === 0)
      this.samples.splice(0, this.samples.length, ...thinned)
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
  }
}
