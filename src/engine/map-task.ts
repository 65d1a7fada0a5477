/**
 * Runs one map task in a worker: its rows through the stage's chain, into shards or a spill.
 *
 * Files are written under the task's name in a scratch folder; the scheduler publishes and commits them.
 */
import path from 'node:path'
import type { NativeGroupCounts, NativeStepGroups } from '../../native/index.js'
import { GristmillError } from '../core/errors.js'
import type { ByteStores } from '../io/store.js'
import type { Batch } from '../kernels/batch.js'
import { Expression } from '../kernels/expression.js'
import { type BlockCounts, BlockBuilder } from '../kernels/feeder.js'
import { addon, native } from '../kernels/native.js'
import type { PackOptions } from '../kernels/packing.js'
import type { SinkWriter } from '../sinks/sink.js'
import { Chain } from './chain.js'
import { LengthHistogram, StepCounters, timed } from './counters.js'
import type { TaskGroups } from './guard.js'
import type { UserFunction } from './pipeline.js'
import { labelsAt } from './plan.js'
import { Quarantine } from './quarantine.js'
import { IndexOutput } from './index-output.js'
import type { Registry } from './registry.js'
import { loadFitted, readSpill } from './spill-input.js'
import { SpillOutput } from './spill-output.js'
import type { MapResult, MapTask, StageSetup } from './task.js'

export interface TaskContext {
  readonly registry: Registry
  readonly stores: ByteStores
  readonly functions: readonly UserFunction[]
  readonly signal: AbortSignal
  /** Throws GM_INTERRUPTED when the run stops; called between batches. */
  checkStop(): void
  chunkBytes(): number
  progress(rows: number, bytes: number): void
}

/** What a task counts besides its steps. */
class Tally {
  readonly read: StepCounters
  readonly write: StepCounters
  readonly truncated: { path: string; reason: string }[] = []
  readonly unknownColumns = new Set<string>()
  readonly lengths = new LengthHistogram()
  /** Rows left out by request, by `where` or by the source itself. */
  pruned = 0
  /** Those among them that never became a batch's row. */
  sourcePruned = 0
  decodedBytes = 0
  batchRows = 0
  rowsOut = 0
  tokens = 0

  constructor(read: string, write: string) {
    this.read = new StepCounters(read)
    this.write = new StepCounters(write)
  }
}

export async function runMapTask(task: MapTask, setup: StageSetup, context: TaskContext): Promise<MapResult> {
  const base = path.join(task.folder, task.name)
  const tally = new Tally(task.input.kind === 'split' ? 'read' : 'reread', setup.boundary ? 'spill' : 'write')
  using chain = new Chain(setup.chain, context.registry, context.functions, {
    keepText: setup.keepText.column,
    fitted: await loadFitted(task.input),
  })
  const spilled = new addon.NativeGroupCounts()
  if (!task.block) native(() => chain.routed.writeTo(base))
  using quarantine = new Quarantine(task.block ? undefined : `${base}.quarantine.jsonl`)
  using output = setup.boundary
    ? new SpillOutput(
        path.join(task.spillFolder, `${task.name}.spill`),
        path.join(task.keysFolder, `${task.name}.keys`),
        setup.boundary,
      )
    : task.block
      ? new BlockOutput(setup, task.block)
      : new ShardOutput(task, setup, context)
  using index = setup.indexed && new IndexOutput(`${base}.index.parquet`, setup.indexed)
  const unit = unitOf(setup)
  const where = setup.source?.where ? new Expression(setup.source.where) : undefined

  for await (const input of timed(openInput(task, setup, chain, quarantine, tally, context), tally.read)) {
    context.checkStop()
    tally.batchRows += input.rows
    tally.read.rowsOut += input.rows
    tally.read.bytesOut += input.bytes
    if (where) tally.pruned += where.prune(input)
    index?.add(input)
    using batch = await chain.run(input)
    if (batch.rows > 0) {
      tally.rowsOut += batch.rows
      if (unit) tally.tokens += measure(batch, unit, tally.lengths)
      const start = performance.now()
      output.write(batch)
      // What the boundary removes is counted where its rows are read again; they enter it here.
      if (setup.boundary) native(() => spilled.enter(batch.handle))
      tally.write.busyMs += performance.now() - start
      tally.write.rowsIn += batch.rows
      tally.write.bytesIn += batch.bytes
    }
    context.progress(tally.batchRows, tally.decodedBytes)
  }
  context.checkStop()
  return finish(setup, { chain, quarantine, output, index, tally, base, unit, spilled })
}

type TaskOutput = SpillOutput | ShardOutput | BlockOutput

function finish(
  setup: StageSetup,
  parts: {
    chain: Chain
    quarantine: Quarantine
    output: TaskOutput
    index: IndexOutput | undefined
    tally: Tally
    base: string
    unit: 'tokens' | 'bytes' | undefined
    spilled: NativeGroupCounts
  },
): MapResult {
  const { chain, quarantine, output, index, tally, base, unit, spilled } = parts
  const start = performance.now()
  const removedRows = chain.removed.rows
  const read = tally.batchRows + quarantine.rows + tally.sourcePruned
  const written: Finished = output.finish({ rows: read, removed: removedRows, quarantined: quarantine.rows })
  // A block is all that is left of its task; records of removed rows would be read by nobody.
  const recorded = written.block === undefined
  const removals = chain.removed.byRule()
  const groups = groupsOf(setup, chain, spilled)
  const editRecords = chain.edits.records
  const edited = chain.edits.byRule()
  const removed =
    recorded && removedRows > 0
      ? { ...native(() => chain.removed.finish(`${base}.removed.parquet`)), rows: removedRows }
      : undefined
  const routed = native(() => chain.routed.finish()).map(({ file, ...of }) => ({ ...file, ...of }))
  const edits =
    recorded && editRecords > 0
      ? { ...native(() => chain.edits.finish(`${base}.edits.parquet`)), rows: editRecords }
      : undefined
  const gathered = recorded ? chain.gathered(base) : []
  const quarantined = quarantine.finish()
  tally.write.busyMs += performance.now() - start
  tally.write.rowsOut = tally.rowsOut
  tally.write.bytesOut = written.bytes
  tally.read.bytesIn = tally.decodedBytes
  const bad = quarantine.rows
  tally.read.rowsIn = tally.batchRows + bad
  return {
    kind: 'map',
    counts: {
      rowsIn: read,
      added: chain.added,
      rowsOut: tally.rowsOut,
      removed: removedRows,
      routed: routed.reduce((rows, file) => rows + file.rows, 0),
      quarantined: bad,
      pruned: tally.pruned,
      tokens: tally.tokens,
      decodedBytes: tally.decodedBytes,
    },
    steps: [tally.read, ...chain.counters, tally.write].map((counters) => counters.toMetrics()),
    shards: written.shards,
    ...(written.block && { block: written.block }),
    removed,
    removals,
    routed,
    edits,
    edited,
    groups,
    ...(gathered.length > 0 && { gathered }),
    quarantine: quarantined,
    spill: written.spill,
    keys: written.keys,
    index: index?.finish(),
    sample: written.sample,
    truncated: tally.truncated,
    unknownColumns: [...tally.unknownColumns],
    lengths: unit && { unit, bins: tally.lengths.toJson() },
  }
}

/** Rows by source and language: those of the chain, those that enter the boundary after it, those the one before removed. */
function groupsOf(setup: StageSetup, chain: Chain, spilled: NativeGroupCounts): TaskGroups {
  const { entered, removed } = chain.groups()
  const own = new Set(setup.chain.map((step) => step.label))
  const entering = labelsAt(setup.boundary).map((label) => spilled.entered(label))
  const removedBefore = chain.removed.byGroup().filter(({ step }) => !own.has(step))
  return {
    entered: [...entered, ...entering].filter(isCounted),
    removed: [...removedBefore, ...removed].filter(isCounted),
  }
}

/** Whether there is anything to say of a step: most data has neither of the columns. */
const isCounted = ({ counts, leftOut }: NativeStepGroups): boolean => counts.length > 0 || leftOut.length > 0

function openInput(
  task: MapTask,
  setup: StageSetup,
  chain: Chain,
  quarantine: Quarantine,
  tally: Tally,
  context: TaskContext,
): AsyncGenerator<Batch> {
  if (task.input.kind !== 'split') {
    native(() => chain.removed.takeText(setup.keepText.ofBoundary))
    return readSpill(task.input, chain, context, (bytes) => {
      tally.decodedBytes += bytes
    })
  }
  const source = setup.source && context.registry.sources.get(setup.source.format)
  if (!setup.source || !source) throw new GristmillError('GM_INTERNAL', 'a split without a source')
  return source.read(task.input.split, setup.source.columns, setup.source.options, setup.source.where, {
    stores: context.stores,
    chunkBytes: () => context.chunkBytes(),
    reject: (rejects) => quarantine.add(rejects),
    pruned: (rows) => {
      tally.pruned += rows
      tally.sourcePruned += rows
    },
    truncated: (file, reason) => {
      tally.truncated.push({ path: file.path, reason })
    },
    unknownColumn: (name) => {
      tally.unknownColumns.add(name)
    },
    consumed: (bytes) => {
      tally.decodedBytes += bytes
    },
    signal: context.signal,
  })
}

/** What rows that reach the sink are measured in; undefined for others, and for rows of a table, which have no text. */
function unitOf({ boundary, columns }: StageSetup): 'tokens' | 'bytes' | undefined {
  if (boundary) return undefined
  if (columns.some(({ type }) => type === 'tokens')) return 'tokens'
  return columns.some(({ name, type }) => name === 'text' && type === 'string') ? 'bytes' : undefined
}

/** Adds each row's length to the histogram; the sum of token counts, 0 for text. */
function measure(batch: Batch, unit: 'tokens' | 'bytes', lengths: LengthHistogram): number {
  const { buffers, offset } = batch.view(unit === 'tokens' ? 'tokens' : 'text')
  const offsets = new Int32Array(buffers[0]!, offset * 4, batch.rows + 1)
  for (let row = 0; row < batch.rows; row++) lengths.add(offsets[row + 1]! - offsets[row]!)
  return unit === 'tokens' ? offsets[batch.rows]! - offsets[0]! : 0
}

/** What a task's output leaves. */
export type Finished = Pick<MapResult, 'shards' | 'spill' | 'keys' | 'sample' | 'block'> & { readonly bytes: number }

const NOTHING = { shards: [], spill: undefined, keys: undefined, sample: undefined } as const

/** Packed sequences in memory as a task's output. */
class BlockOutput implements Disposable {
  readonly #builder: BlockBuilder
  readonly #options: PackOptions

  constructor({ vocabularySize }: StageSetup, options: PackOptions) {
    this.#builder = new BlockBuilder(vocabularySize)
    this.#options = options
  }

  write(batch: Batch): void {
    this.#builder.write(batch)
  }

  finish(counts: BlockCounts): Finished {
    const block = this.#builder.finish(this.#options, counts)
    return { ...NOTHING, block, bytes: block.bytes }
  }

  [Symbol.dispose](): void {
    this.#builder[Symbol.dispose]()
  }
}

/** The sink as a task's output. */
class ShardOutput implements Disposable {
  readonly #writer: SinkWriter

  constructor(task: MapTask, setup: StageSetup, context: TaskContext) {
    const sink = context.registry.sinks.get(setup.sink.format)
    if (!sink) throw new GristmillError('GM_INTERNAL', `there is no sink '${setup.sink.format}'`)
    this.#writer = sink.open(setup.sink.options, {
      folder: task.folder,
      baseName: task.name,
      columns: setup.columns,
      vocabularySize: setup.vocabularySize,
    })
  }

  write(batch: Batch): void {
    this.#writer.write(batch)
  }

  finish(): Finished {
    const shards = this.#writer.finish()
    const bytes = shards.flatMap((shard) => shard.files).reduce((sum, file) => sum + file.bytes, 0)
    return { ...NOTHING, shards, bytes }
  }

  [Symbol.dispose](): void {
    this.#writer[Symbol.dispose]()
  }
}
