/**
 * The process behind a loader that runs a pipeline: it makes the blocks that the loader asks for, and sends each
 * one's descriptor over the socket it was started with. `crates/kernels/src/feed/live` is the other side; what comes
 * when is decided there.
 *
 * All it has is anonymous: killed at any moment, it leaves nothing. It ends with its socket.
 */
import { closeSync } from 'node:fs'
import { Socket } from 'node:net'
import { GristmillError } from '../core/errors.js'
import { openStores } from '../io/stores.js'
import { type Block, BlockStore, FEEDER_PROTOCOL, sendMessage } from '../kernels/feeder.js'
import { bundleModule } from './bundle.js'
import { type FeedPlan, type FeedTask, planFeed } from './feed-plan.js'
import { MemoryGuard, planMemory } from './memory.js'
import type { PipelineDefinition } from './pipeline.js'
import { preparePipeline } from './prepare.js'
import type { Registry } from './registry.js'
import { stageSetup } from './stage-setup.js'
import { WorkerPool } from './worker-pool.js'

export interface FeederOptions {
  /** Descriptor of the socket to the loader. */
  readonly socket: number
  readonly sequenceLength?: number | undefined
  /** Bytes of text that a task has, about. */
  readonly taskBytes: number
  readonly workers: number
  readonly memoryBytes: number
  /** Folder of the blocks that were made before, and how many bytes may lie there. */
  readonly cache?: { readonly folder: string; readonly bytes: number } | undefined
  /** Tells the workers which pipeline of the module is meant. */
  readonly signature: string
}

/** What a loader says. */
type Request = { readonly kind: 'want'; readonly task: number }

/** How soon the feeder looks again whether another one has made what it was making. */
const AGAIN_MS = 20

/** How often the feeder looks whether its parent is still the same. */
const PARENT_MS = 500

/** Feeds the loader until its socket ends; what goes wrong is told to the loader before it is thrown. */
export async function runFeeder(
  load: () => Promise<PipelineDefinition>,
  registry: Registry,
  options: (definition: PipelineDefinition) => FeederOptions,
  socket: number,
): Promise<void> {
  const requests = new Requests(socket)
  endWithLoader()
  try {
    const definition = await load()
    await feed(definition, registry, options(definition), requests)
  } catch (error) {
    tell(socket, error)
    throw error
  }
}

async function feed(
  definition: PipelineDefinition,
  registry: Registry,
  options: FeederOptions,
  requests: Requests,
): Promise<void> {
  const { socket, workers, memoryBytes, signature } = options
  const stores = openStores()
  const stop = new AbortController()
  const prepared = await preparePipeline(definition, registry, stores, stop.signal)
  const planned = planFeed(prepared, options)
  const module = prepared.bundleHash === undefined ? undefined : (await bundleModule(definition.module)).url
  const memory = planMemory(memoryBytes, workers)
  await using pool = new WorkerPool({ workers, chunkBytes: memory.chunkBytes, module, pipeline: signature })
  using guard = new MemoryGuard(memory, pool)
  pool.setStage(stageSetup(prepared, planned.plan, planned.stage))
  const make = async (task: FeedTask): Promise<Block> => {
    await guard.admit(stop.signal)
    guard.taskStarted()
    try {
      return await runTask(pool, planned, task)
    } finally {
      guard.taskEnded()
    }
  }
  sendMessage(socket, {
    kind: 'ready',
    protocol: FEEDER_PROTOCOL,
    tasks: planned.tasks.length,
    length: planned.pack.length,
    vocabularySize: prepared.vocabularySize ?? null,
    identity: planned.identity,
  })
  const store = options.cache && new BlockStore(options.cache.folder, options.cache.bytes)
  await new Desk({ socket, tasks: planned.tasks, workers, store, make }).serve(requests)
}

/** Runs one task in a worker. */
async function runTask(pool: WorkerPool, { stage, pack }: FeedPlan, { name, split }: FeedTask): Promise<Block> {
  const { result } = await pool.run(
    {
      kind: 'map',
      name,
      stage: stage.index,
      input: { kind: 'split', split },
      folder: '',
      spillFolder: '',
      keysFolder: '',
      block: pack,
    },
    () => {},
  )
  if (result.kind === 'map' && result.block) return result.block
  throw new GristmillError('GM_INTERNAL', 'a task made no block')
}

interface DeskContext {
  readonly socket: number
  readonly tasks: readonly FeedTask[]
  readonly workers: number
  readonly store: BlockStore | undefined
  readonly make: (task: FeedTask) => Promise<Block>
}

/**
 * Where requests are put and worked off, in their order as far as there are workers. What another feeder is making is
 * left for later, so that feeders of one machine share the work.
 */
class Desk {
  readonly #context: DeskContext
  readonly #wanted: number[] = []
  #busy = 0
  /** Whether it will look again by itself. */
  #waits = false
  #fail: (error: unknown) => void = () => {}

  constructor(context: DeskContext) {
    this.#context = context
  }

  /** Takes requests; ends only with the process or with the first failure. */
  async serve(requests: Requests): Promise<never> {
    const failure = new Promise<never>((_resolve, reject) => {
      this.#fail = reject
    })
    requests.take = ({ task }) => {
      this.#wanted.push(task)
      this.#work()
    }
    return failure
  }

  /** Answers what can be answered, and begins what can be begun. */
  #work(): void {
    try {
      const left = this.#wanted.splice(0).filter((task) => !this.#begin(task))
      this.#wanted.push(...left)
      if (left.length === 0 || this.#busy === this.#context.workers || this.#waits) return
      this.#waits = true
      setTimeout(() => {
        this.#waits = false
        this.#work()
      }, AGAIN_MS)
    } catch (error) {
      this.#fail(error)
    }
  }

  /** False when the task must wait: for a worker, or for another feeder that makes it. */
  #begin(task: number): boolean {
    const { socket, tasks, workers, store } = this.#context
    const asked = tasks[task]
    if (!asked) throw new GristmillError('GM_INTERNAL', `the loader asked for task ${task} of ${tasks.length}`)
    const { name } = asked
    const mayMake = this.#busy < workers
    const claim = mayMake ? (store?.claim(name) ?? 'make') : store?.has(name) ? 'found' : 'busy'
    if (claim === 'busy') return false
    if (claim === 'found') {
      sendMessage(socket, { kind: 'cached', task, name })
      return true
    }
    this.#busy += 1
    this.#make(task, asked).then(() => {
      this.#busy -= 1
      this.#work()
    }, this.#fail)
    return true
  }

  async #make(task: number, asked: FeedTask): Promise<void> {
    const { socket, store, make } = this.#context
    const block = await make(asked)
    try {
      sendMessage(socket, { kind: 'made', task }, block.descriptor)
      store?.store(asked.name, block)
    } finally {
      closeSync(block.descriptor)
    }
  }
}

/** What arrives from the loader, which says nothing before the feeder is ready; the process ends with the socket. */
class Requests {
  take: (request: Request) => void = () => {}

  constructor(descriptor: number) {
    const socket = new Socket({ fd: descriptor, readable: true, writable: false })
    let text = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      const lines = (text + chunk).split('\n')
      text = lines.pop()!
      for (const line of lines) this.take(JSON.parse(line) as Request)
    })
    socket.on('error', end)
    socket.on('end', end)
    socket.on('close', end)
  }
}

/**
 * Ends the process when its trainer is gone without its socket having ended: a child that the trainer forked may hold
 * the other end.
 */
function endWithLoader(): void {
  const parent = process.ppid
  setInterval(() => {
    if (process.ppid !== parent) end()
  }, PARENT_MS).unref()
  // Ctrl-C reaches the whole group of processes; it is for the trainer to say what becomes of it.
  process.on('SIGINT', () => {})
}

/** Ends at once: an orderly exit waits for workers, which may be in the midst of a long kernel, and nothing needs it. */
function end(): void {
  process.kill(process.pid, 'SIGKILL')
}

/** Tells the loader why nothing more comes. */
function tell(socket: number, error: unknown): void {
  const known = error instanceof GristmillError ? error : new GristmillError('GM_INTERNAL', String(error))
  const { code, hint } = known
  try {
    sendMessage(socket, { kind: 'failed', code, message: known.message, hint })
  } catch {
    end() // The loader is gone, most often because it had enough; nobody is to read of a broken pipe.
  }
}
