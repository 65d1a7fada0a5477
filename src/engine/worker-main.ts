/**
 * The life of a worker thread: it receives stages and tasks, and answers with results.
 *
 * Kernels run synchronously here and block this thread's event loop; reads go on in libuv's threads
 * meanwhile. The stop flag and the chunk size are shared memory, so that they arrive between batches.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { GristmillError } from '../core/errors.js'
import { openStores } from '../io/stores.js'
import { runDecideTask } from './decide-task.js'
import { runMapTask, type TaskContext } from './map-task.js'
import { runPackTask } from './pack-task.js'
import type { UserFunction } from './pipeline.js'
import type { Registry } from './registry.js'
import type { FromWorker, StageSetup, Task, TaskResult, ToWorker } from './task.js'
import { packError } from './transfer.js'

/** What a worker is started with. */
export interface WorkerData {
  /** Int32 values: see `CONTROL`. */
  readonly control: SharedArrayBuffer
  /** Address of the bundled user module; undefined without functions. */
  readonly module: string | undefined
  /** Identity of the pipeline whose functions the worker needs. */
  readonly pipeline: string
}

/** Places in the control memory. */
export const CONTROL = { stop: 0, chunkBytes: 1, length: 2 } as const

/** How often a task reports progress. */
const PROGRESS_MS = 200

export async function workerMain(
  registry: Registry,
  loadFunctions: (module: string, pipeline: string) => Promise<readonly UserFunction[]>,
): Promise<void> {
  const port = parentPort!
  const data = workerData as WorkerData
  const control = new Int32Array(data.control)
  const send = (message: FromWorker): void => port.postMessage(message)
  const stopped = new AbortController()
  const setups = new Map<number, StageSetup>()
  let moreCuts: (() => void) | undefined
  let reported = 0
  const context: TaskContext = {
    registry,
    stores: openStores(),
    functions: data.module === undefined ? [] : await loadFunctions(data.module, data.pipeline),
    signal: stopped.signal,
    checkStop() {
      if (Atomics.load(control, CONTROL.stop) === 0) return
      stopped.abort()
      throw new GristmillError('GM_INTERRUPTED', 'the run was stopped')
    },
    chunkBytes: () => Atomics.load(control, CONTROL.chunkBytes),
    progress(rows, bytes) {
      const now = performance.now()
      if (now - reported < PROGRESS_MS) return
      reported = now
      send({ type: 'progress', rows, bytes })
    },
  }

  const handle = async (message: ToWorker): Promise<void> => {
    switch (message.type) {
      case 'stage':
        setups.set(message.setup.index, message.setup)
        return
      case 'task': {
        const start = performance.now()
        const result = await runTask(message.task, setups, context)
        send({ type: 'done', result, seconds: (performance.now() - start) / 1000 })
        return
      }
      case 'cut': {
        const source = registry.sources.get(message.format)
        const cuts = source?.cut?.(message.file, message.options, message.spoolFolder, context)
        if (!cuts) throw new GristmillError('GM_INTERNAL', `${message.format} cannot be cut`)
        for await (const split of cuts) {
          context.checkStop()
          send({ type: 'cut', split })
          await new Promise<void>((resolve) => (moreCuts = resolve))
        }
        send({ type: 'cuts-end' })
        return
      }
      case 'more':
        moreCuts?.()
        return
      case 'end':
        context.stores.close()
        port.close()
    }
  }
  port.on('message', (message: ToWorker) => {
    handle(message).catch((error: unknown) => send({ type: 'failed', error: packError(error) }))
  })
  send({ type: 'ready' })
}

async function runTask(task: Task, setups: ReadonlyMap<number, StageSetup>, context: TaskContext): Promise<TaskResult> {
  switch (task.kind) {
    case 'map': {
      const setup = setups.get(task.stage)
      if (!setup) throw new GristmillError('GM_INTERNAL', `stage ${task.stage} was not announced`)
      return runMapTask(task, setup, context)
    }
    case 'decide':
      return runDecideTask(task, context.stores)
    case 'pack':
      return runPackTask(task)
  }
}
