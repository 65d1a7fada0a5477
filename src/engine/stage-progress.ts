/**
 * Counts of a stage while it runs, and the events that tell of them.
 */
import type { RunEvent } from '../observe/metrics.js'
import type { RowCounts } from './task.js'

/** How often progress events come. */
const PROGRESS_MS = 200

export class StageProgress {
  readonly #stage: string
  readonly #totalBytes: number
  readonly #onEvent: (event: RunEvent) => void
  readonly #started = performance.now()
  #reported = 0
  tasks: number
  run = 0
  skipped = 0
  #done = 0
  #rows = 0
  #bytes = 0
  /** Rows and bytes of tasks under way. */
  readonly active = new Map<string, { rows: number; bytes: number }>()

  constructor(
    stage: string,
    options: {
      /** As many as are known. */
      readonly tasks: number
      readonly totalBytes: number
      readonly onEvent: (event: RunEvent) => void
    },
  ) {
    this.#stage = stage
    this.tasks = options.tasks
    this.#totalBytes = options.totalBytes
    this.#onEvent = options.onEvent
  }

  get seconds(): number {
    return (performance.now() - this.#started) / 1000
  }

  /** Adds a task that is done. */
  add({ rowsIn, decodedBytes }: RowCounts): void {
    this.#done += 1
    this.#rows += rowsIn
    this.#bytes += decodedBytes
  }

  /** Tells how far the stage is, if the last time is long enough ago. */
  report(): void {
    if (performance.now() - this.#reported >= PROGRESS_MS) this.#send(this.#totalBytes)
  }

  /** Tells that the stage is done. */
  end(): void {
    this.#send(0)
  }

  #send(totalBytes: number): void {
    this.#reported = performance.now()
    let [rows, bytes] = [this.#rows, this.#bytes]
    for (const active of this.active.values()) {
      rows += active.rows
      bytes += active.bytes
    }
    this.#onEvent({
      event: 'progress',
      stage: this.#stage,
      tasksDone: this.#done,
      tasks: Math.max(this.tasks, this.#done),
      rows,
      bytes,
      totalBytes: Math.max(totalBytes, bytes),
      seconds: this.seconds,
      rssBytes: process.memoryUsage.rss(),
    })
  }
}
