/**
 * The tasks of a stage, named after their content, from the splits or from what the stage before left.
 */
import path from 'node:path'
import type { Split } from '../sources/source.js'
import { identityOf } from './identity.js'
import type { Boundary, Stage } from './plan.js'
import type { PreparedPipeline } from './prepare.js'
import type { RunDirectory } from './run-directory.js'
import type { MapResult, MapTask, SegmentFile, SegmentRef, SpillBlock, TaskDecisions, TaskInput } from './task.js'
import type { WorkerPool } from './worker-pool.js'

/** A committed task of a stage: its name and what it left. */
export interface Outcome {
  readonly name: string
  readonly result: MapResult
}

/** A task and its place among the stage's. */
export interface PlannedTask {
  readonly task: MapTask
  /** Outcomes of the stage come in this order: bytewise by path, then by position. */
  readonly order: readonly [number, number]
  /** Names of the tasks whose spills it reads. */
  readonly parents: readonly string[]
}

/** How many sequential files are cut at once: one reader feeds about four workers. */
const WORKERS_PER_CUTTER = 4

export class TaskPlanner {
  readonly #prepared: PreparedPipeline
  readonly #directory: RunDirectory

  constructor(prepared: PreparedPipeline, directory: RunDirectory) {
    this.#prepared = prepared
    this.#directory = directory
  }

  /** Tasks of the first stage, as splits become known. */
  async *ofSplits(stage: Stage, pool: WorkerPool): AsyncGenerator<PlannedTask> {
    for await (const { split, order } of this.#splits(pool)) {
      const identity = { stage: stage.identity, pieces: piecesIdentity(split) }
      yield this.#planned(stage, identity, { kind: 'split', split }, order, [])
    }
  }

  async *#splits(pool: WorkerPool): AsyncGenerator<{ split: Split; order: [number, number] }> {
    const { splits, source, sourceOptions } = this.#prepared
    const waiting = [...splits.entries()]
    const cutters = Math.ceil(pool.workers / WORKERS_PER_CUTTER)
    const active = new Map<
      number,
      { cuts: AsyncGenerator<Split>; next: Promise<[number, IteratorResult<Split>]>; count: number }
    >()
    const pull = async (index: number, cuts: AsyncGenerator<Split>): Promise<[number, IteratorResult<Split>]> => [
      index,
      await cuts.next(),
    ]
    try {
      while (waiting.length > 0 || active.size > 0) {
        const next = waiting[0]
        if (next && (next[1].kind === 'split' || active.size < cutters)) {
          waiting.shift()
          const [index, split] = next
          if (split.kind === 'split') {
            yield { split, order: [index, 0] }
            continue
          }
          const cuts = pool.cut(source.name, split.file, sourceOptions, this.#directory.folder('spool'))
          active.set(index, { cuts, next: pull(index, cuts), count: 0 })
          continue
        }
        const [index, result] = await Promise.race([...active.values()].map((cutter) => cutter.next))
        const cutter = active.get(index)!
        if (result.done) {
          active.delete(index)
          continue
        }
        active.set(index, { cuts: cutter.cuts, next: pull(index, cutter.cuts), count: cutter.count + 1 })
        yield { split: result.value, order: [index, cutter.count] }
      }
    } finally {
      for (const { cuts, next } of active.values()) {
        next.catch(() => {})
        await cuts.return(undefined)
      }
    }
  }

  /** Tasks of a later stage: one for each spill, or one for each shuffle bucket. */
  ofOutcomes(stage: Stage, previous: readonly Outcome[], boundary: Boundary, decided: Decided): PlannedTask[] {
    return stage.input === 'spills'
      ? previous.map((parent, index) => this.#ofSpill(stage, parent, index, decided))
      : this.#ofBuckets(stage, previous, boundary, decided)
  }

  #ofSpill(stage: Stage, parent: Outcome, index: number, decided: Decided): PlannedTask {
    const decisions = decided.of(index)
    const spill = parent.result.spill!
    const input: TaskInput = {
      kind: 'spill',
      spill: { ...spill, path: path.join(this.#directory.folder('spill'), spill.path) },
      decisions,
    }
    const identity = { stage: stage.identity, parent: parent.name, decisions: decided.identity(index) }
    return this.#planned(stage, identity, input, [index, 0], [parent.name])
  }

  #ofBuckets(stage: Stage, previous: readonly Outcome[], boundary: Boundary, decided: Decided): PlannedTask[] {
    const folder = this.#directory.folder('spill')
    const buckets = boundary.shuffle!.buckets
    const sources = Array.from(
      { length: buckets },
      (): Extract<TaskInput, { kind: 'bucket' }>['spills'][number][] => [],
    )
    for (const [task, { result }] of previous.entries()) {
      const spill = result.spill!
      const blocks = new Map<number, SpillBlock[]>()
      for (const block of spill.blocks) {
        const list = blocks.get(block.bucket)
        if (list) list.push(block)
        else blocks.set(block.bucket, [block])
      }
      for (const [bucket, list] of blocks)
        sources[bucket]!.push({ task, path: path.join(folder, spill.path), blocks: list })
    }
    return sources.map((spills, bucket) => {
      const input: TaskInput = { kind: 'bucket', spills, decisions: decided.of(bucket) }
      const identity = {
        stage: stage.identity,
        bucket,
        parents: spills.map(({ task }) => previous[task]!.name),
        decisions: decided.identity(bucket),
      }
      return this.#planned(
        stage,
        identity,
        input,
        [bucket, 0],
        spills.map(({ task }) => previous[task]!.name),
      )
    })
  }

  #planned(stage: Stage, identity: unknown, input: TaskInput, order: [number, number], parents: string[]): PlannedTask {
    const task: MapTask = {
      kind: 'map',
      name: `s${stage.index}-${identityOf(identity)}`,
      stage: stage.index,
      input,
      folder: this.#directory.folder('tmp'),
      spillFolder: this.#directory.folder('spill'),
      keysFolder: this.#directory.keys,
    }
    return { task, order, parents }
  }
}

/** What names a split's content: its files, each with what changes when the file does, and the stretches of them. */
export function piecesIdentity(split: Split): unknown[] {
  return split.pieces.map(({ file, range }) => {
    const { spool: _spool, ...place } = range as { spool?: string }
    return [file.path, file.url === '-' ? 'stdin' : file.fingerprint, place]
  })
}

/** What a boundary decided, by group: the spilling task's place, or the bucket. */
export class Decided {
  readonly #dedup: TaskDecisions['dedup']
  readonly #groups = new Map<number, { ref: SegmentRef; checksum: string }[]>()
  readonly #sample: TaskDecisions['sampleThreshold']
  /** Parameters of the steps at the boundary, in their order. */
  readonly fitted: readonly { readonly step: string; readonly ref: SegmentRef; readonly checksum: string }[] = []

  constructor(boundary: Boundary, files: readonly SegmentFile[], outcomes: readonly Outcome[]) {
    this.#dedup = recordedAs(boundary)
    this.#sample = boundary.sample && threshold(boundary.sample, outcomes)
    if (boundary.fit) {
      this.fitted = boundary.fit.map(({ label }, index) => {
        const { path: file, segments } = files[index]!
        const { offset, length, checksum } = segments[0]!
        return { step: label, ref: { path: file, offset, length }, checksum }
      })
      return
    }
    for (const { path: file, segments } of files) {
      for (const { group, offset, length, checksum } of segments) {
        const list = this.#groups.get(group) ?? []
        list.push({ ref: { path: file, offset, length }, checksum })
        this.#groups.set(group, list)
      }
    }
  }

  of(group: number): TaskDecisions {
    const duplicates = (this.#groups.get(group) ?? []).map(({ ref }) => ref)
    const fitted = this.fitted.map(({ step, ref }) => ({ step, ...ref }))
    return { duplicates, sampleThreshold: this.#sample, dedup: this.#dedup, fitted }
  }

  /** What the rows of a group depend on. */
  identity(group: number): unknown {
    const fitted = this.fitted.map(({ checksum }) => checksum)
    const decided = [(this.#groups.get(group) ?? []).map(({ checksum }) => checksum), this.#sample]
    return fitted.length === 0 ? decided : [...decided, fitted]
  }
}

/** How the records of a boundary's deduplication name it. */
function recordedAs({ dedup }: Boundary): TaskDecisions['dedup'] {
  const step = dedup?.label ?? ''
  switch (dedup?.kind) {
    case 'minhash':
      return { step, rule: 'jaccard', threshold: dedup.threshold, cut: undefined }
    case 'parts':
      return { step, rule: dedup.by, threshold: undefined, cut: { column: dedup.column, by: dedup.by } }
    default:
      return { step, rule: 'duplicate', threshold: undefined, cut: undefined }
  }
}

/** The highest hash among the `count` smallest; every row stays when there are fewer. */
function threshold(
  { count, seed, label }: NonNullable<Boundary['sample']>,
  outcomes: readonly Outcome[],
): TaskDecisions['sampleThreshold'] {
  const hashes = outcomes.flatMap(({ result }) => result.sample ?? []).toSorted()
  const hash = hashes.length < count ? 'f'.repeat(16) : count === 0 ? undefined : hashes[count - 1]
  return { hash: hash ?? '0'.repeat(16), seed, label }
}
