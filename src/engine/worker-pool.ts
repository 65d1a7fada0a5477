/**
 * Worker threads and what runs on them. The pool knows nothing of stages' meaning: it feeds tasks to idle
 * threads, hands results on, and stops everything when one fails.
 */
import { Worker } from 'node:worker_threads'
import { type Deferred, deferred } from '../core/deferred.js'
import { GristmillError } from '../core/errors.js'
import type { InputFile, SourceOptions, Split } from '../sources/source.js'
import { CONTROL, type WorkerData } from './worker-main.js'
import type { FromWorker, StageSetup, Task, TaskResult, ToWorker } from './task.js'
import { unpackError } from './transfer.js'

const ENTRY = new URL('../worker.js', import.meta.url)

export interface PoolOptions {
  readonly workers: number
  readonly chunkBytes: number
  readonly module: string | undefined
  readonly pipeline: string
}

/** One thread, one conversation at a time. */
class Thread {
  readonly #worker: Worker
  #listener: ((message: FromWorker | Error) => void) | undefined
  readonly known = new Set<number>()
  readonly ready: Promise<void>
  failed: Error | undefined

  constructor(data: WorkerData) {
    this.#worker = new Worker(ENTRY, { workerData: data })
    const { promise, resolve, reject } = deferred<void>()
    this.ready = promise
    this.#worker.on('message', (message: FromWorker) => {
      if (message.type === 'ready') resolve()
      else if (message.type === 'failed' && !this.#listener) reject(unpackError(message.error))
      else this.#listener?.(message)
    })
    const lost = (error: Error): void => {
      this.failed = error
      reject(error)
      this.#listener?.(error)
    }
    this.#worker.on('error', lost)
    this.#worker.on('exit', (code) => {
      lost(new GristmillError('GM_INTERNAL', `a worker thread ended with code ${code}`))
    })
  }

  send(message: ToWorker): void {
    this.#worker.postMessage(message)
  }

  listen(listener: ((message: FromWorker | Error) => void) | undefined): void {
    this.#listener = listener
  }

  async close(): Promise<void> {
    this.#listener = undefined
    this.#worker.removeAllListeners('exit')
    this.send({ type: 'end' })
    await this.#worker.terminate()
  }
}

export interface TaskRun {
  readonly result: TaskResult
  readonly seconds: number
}

export class WorkerPool implements AsyncDisposable {
  readonly #options: PoolOptions
  readonly #control: Int32Array<SharedArrayBuffer>
  readonly #threads: Thread[] = []
  readonly #idle: Thread[] = []
  readonly #waiting: Deferred<Thread>[] = []
  readonly #setups = new Map<number, StageSetup>()

  constructor(options: PoolOptions) {
    this.#options = options
    this.#control = new Int32Array(new SharedArrayBuffer(CONTROL.length * 4))
    this.setChunkBytes(options.chunkBytes)
  }

  get workers(): number {
    return this.#options.workers
  }

  setChunkBytes(bytes: number): void {
    Atomics.store(this.#control, CONTROL.chunkBytes, bytes)
  }

  /** Makes every worker stop at its next batch. */
  stop(): void {
    Atomics.store(this.#control, CONTROL.stop, 1)
  }

  setStage(setup: StageSetup): void {
    this.#setups.set(setup.index, setup)
  }

  /** Runs one task on an idle thread, starting one if there is none. */
  async run(task: Task, onProgress: (rows: number, bytes: number) => void): Promise<TaskRun> {
    const thread = await this.#acquire()
    const setup = this.#setups.get(task.stage)
    if (setup && !thread.known.has(setup.index)) {
      thread.send({ type: 'stage', setup })
      thread.known.add(setup.index)
    }
    const { promise, resolve, reject } = deferred<TaskRun>()
    thread.listen((message) => {
      if (message instanceof Error) reject(message)
      else if (message.type === 'done') resolve({ result: message.result, seconds: message.seconds })
      else if (message.type === 'progress') onProgress(message.rows, message.bytes)
      else if (message.type === 'failed') reject(unpackError(message.error))
    })
    thread.send({ type: 'task', task })
    try {
      return await promise
    } finally {
      this.#release(thread)
    }
  }

  /** Cuts a sequential file in a thread of its own, one cut ahead of the caller. */
  async *cut(format: string, file: InputFile, options: SourceOptions, spoolFolder: string): AsyncGenerator<Split> {
    const thread = this.#start()
    await thread.ready
    try {
      let next = deferred<Split | undefined>()
      thread.listen((message) => {
        if (message instanceof Error) next.reject(message)
        else if (message.type === 'cut') next.resolve(message.split)
        else if (message.type === 'cuts-end') next.resolve(undefined)
        else if (message.type === 'failed') next.reject(unpackError(message.error))
      })
      thread.send({ type: 'cut', format, file, options, spoolFolder })
      while (true) {
        const split = await next.promise
        if (!split) return
        next = deferred()
        thread.send({ type: 'more' })
        yield split
      }
    } finally {
      await thread.close()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.stop()
    await Promise.all(this.#threads.map((thread) => thread.close()))
  }

  #start(): Thread {
    return new Thread({
      control: this.#control.buffer,
      module: this.#options.module,
      pipeline: this.#options.pipeline,
    })
  }

  async #acquire(): Promise<Thread> {
    const idle = this.#idle.pop()
    if (idle) return idle
    if (this.#threads.length >= this.#options.workers) {
      const turn = deferred<Thread>()
      this.#waiting.push(turn)
      return turn.promise
    }
    const thread = this.#start()
    this.#threads.push(thread)
    await thread.ready
    return thread
  }

  /** Hands a thread to the task that waits longest; a lost thread hands on its failure. */
  #release(thread: Thread): void {
    thread.listen(undefined)
    const next = this.#waiting.shift()
    if (thread.failed) next?.reject(thread.failed)
    else if (next) next.resolve(thread)
    else this.#idle.push(thread)
  }
}
