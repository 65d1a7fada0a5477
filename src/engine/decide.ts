/**
 * The rounds in which a deduplication is decided, from what the tasks before it left.
 *
 * A round's tasks can be planned once those of the rounds before are done; their names derive from content,
 * so that what was decided is found again. The last round's files are the verdicts. Files of other rounds are
 * scratch: once the last one is done nobody needs them.
 */
import path from 'node:path'
import { GristmillError } from '../core/errors.js'
import { identityOf } from './identity.js'
import type { Boundary, Stage } from './plan.js'
import type { RunDirectory } from './run-directory.js'
import type { Outcome } from './tasks.js'
import type { DecideResult, DecideTask, DecideWork, Segment, SegmentRef } from './task.js'

/** Rows of candidates that are decided together, unless one component has more. */
const GROUP_ROWS = 65_536
/** Rows a near-duplicate deduplication can number. */
const MAX_ROWS = 2 ** 32 - 1

export interface DecideContext {
  readonly stage: Stage
  readonly boundary: Boundary
  readonly outcomes: readonly Outcome[]
  readonly directory: RunDirectory
  readonly kernelVersion: string
}

/** A task of a round, and the tasks whose spills it reads. */
export interface PlannedDecision {
  readonly task: DecideTask
  readonly parents: readonly string[]
}

/** A task that is done. */
export interface DoneDecision {
  readonly task: DecideTask
  readonly result: DecideResult
}

export interface DecideRound {
  /** As in `buckets`. */
  readonly name: string
  /** The round's tasks; `done` are those of the round before. */
  plan(done: readonly DoneDecision[]): PlannedDecision[]
}

/** The rounds of a boundary's deduplication, in order. */
export function decideRounds(context: DecideContext): DecideRound[] {
  const { dedup } = context.boundary
  if (!dedup) return []
  return dedup.kind === 'exact' ? [{ name: 'decide', plan: () => planExact(context) }] : nearRounds(context)
}

type Keys = { readonly task: number; readonly ref: SegmentRef; readonly checksum: string }

/** Segments of every task's keys, by partition. */
function keysByPartition({ boundary, outcomes, directory }: DecideContext): Keys[][] {
  const partitions = Array.from({ length: boundary.dedup!.partitions }, (): Keys[] => [])
  for (const [task, { result }] of outcomes.entries()) {
    const file = result.keys
    if (!file) throw new GristmillError('GM_INTERNAL', 'a task before a deduplication left no keys')
    for (const { group, checksum, ...segment } of file.segments) {
      partitions[group]!.push({ task, ref: { path: path.join(directory.keys, file.path), ...segment }, checksum })
    }
  }
  return partitions
}

/** Names a task by what it depends on. */
function planned(
  { stage, boundary, directory, kernelVersion }: DecideContext,
  {
    round,
    scratch,
    inputs,
    work,
    parents = [],
  }: {
    readonly round: string
    readonly scratch: boolean
    readonly inputs: unknown
    readonly work: DecideWork
    readonly parents?: readonly string[]
  },
): PlannedDecision {
  const name = `d${stage.index}-${identityOf({ kind: round, kernels: kernelVersion, boundary, inputs })}`
  const folder = scratch ? directory.folder('spill') : directory.keys
  const task: DecideTask = {
    kind: 'decide',
    name,
    stage: stage.index,
    boundary,
    path: path.join(folder, `${name}.${scratch ? round : 'dup'}`),
    work,
  }
  return { task, parents }
}

function planExact(context: DecideContext): PlannedDecision[] {
  return keysByPartition(context).map((keys, partition) =>
    planned(context, {
      round: 'decide',
      scratch: false,
      inputs: [partition, keys.map(({ task, checksum }) => [task, checksum])],
      work: { kind: 'exact', keys: keys.map(({ task, ref }) => ({ task, ...ref })) },
    }),
  )
}

/** Buckets of each partition; components over all; shingle sets of candidates; each group, decided. */
function nearRounds(context: DecideContext): DecideRound[] {
  const { outcomes, directory } = context
  const bases = rowBases(outcomes)
  const buckets = (): PlannedDecision[] =>
    keysByPartition(context).map((keys, partition) =>
      planned(context, {
        round: 'buckets',
        scratch: true,
        inputs: [partition, keys.map(({ task, checksum }) => [bases[task], checksum])],
        work: { kind: 'buckets', keys: keys.map(({ task, ref }) => ({ base: bases[task]!, ...ref })) },
      }),
    )
  const components = (done: readonly DoneDecision[]): PlannedDecision[] => [
    planned(context, {
      round: 'components',
      scratch: true,
      inputs: [bases, done.map(({ task }) => task.name)],
      work: { kind: 'components', files: done.map(({ task }) => task.path), bases, target: GROUP_ROWS },
    }),
  ]
  let dealt: DoneDecision | undefined
  const sets = (done: readonly DoneDecision[]): PlannedDecision[] => {
    dealt = done[0]!
    const wanted = dealt.result.file.segments.filter(({ group }) => group < outcomes.length)
    return wanted.map((segment) => {
      const { name, result } = outcomes[segment.group]!
      const spill = { ...result.spill!, path: path.join(directory.folder('spill'), result.spill!.path) }
      return planned(context, {
        round: 'sets',
        scratch: true,
        inputs: [name, segment.checksum],
        work: { kind: 'sets', spill, task: segment.group, wanted: refOf(dealt!, segment) },
        parents: [name],
      })
    })
  }
  const clusters = (done: readonly DoneDecision[]): PlannedDecision[] => planClusters(context, bases, dealt!, done)
  return [
    { name: 'buckets', plan: buckets },
    { name: 'components', plan: components },
    { name: 'sets', plan: sets },
    { name: 'clusters', plan: clusters },
  ]
}

function refOf({ task }: DoneDecision, { offset, length }: Segment): SegmentRef {
  return { path: task.path, offset, length }
}

function planClusters(
  context: DecideContext,
  bases: readonly number[],
  dealt: DoneDecision,
  sets: readonly DoneDecision[],
): PlannedDecision[] {
  const { outcomes } = context
  const groups = Array.from({ length: dealt.result.counts['groups'] ?? 0 }, () => ({
    parts: [] as Extract<DecideWork, { kind: 'clusters' }>['parts'][number][],
    buckets: [] as SegmentRef[],
    inputs: [] as unknown[],
  }))
  for (const segment of dealt.result.file.segments) {
    const group = groups[segment.group - outcomes.length]
    if (!group) continue
    group.buckets.push(refOf(dealt, segment))
    group.inputs.push(segment.checksum)
  }
  for (const done of sets) {
    const { work } = done.task
    if (work.kind !== 'sets') throw new GristmillError('GM_INTERNAL', 'a round of sets had another task')
    for (const segment of done.result.file.segments) {
      const group = groups[segment.group]!
      const base = bases[work.task]!
      group.parts.push({ task: work.task, base, sets: done.task.path, members: refOf(done, segment) })
      group.inputs.push([work.task, base, outcomes[work.task]!.name, segment.checksum])
    }
  }
  return groups.map(({ parts, buckets, inputs }) =>
    planned(context, { round: 'clusters', scratch: false, inputs, work: { kind: 'clusters', parts, buckets } }),
  )
}

/** Rows before each task and, last, of all. */
function rowBases(outcomes: readonly Outcome[]): number[] {
  const bases = [0]
  for (const { result } of outcomes) bases.push(bases.at(-1)! + (result.spill?.rows ?? 0))
  const rows = bases.at(-1)!
  if (rows > MAX_ROWS) {
    throw new GristmillError('GM_CONFIG', `minhash-dedup compares at most ${MAX_ROWS} rows, but there are ${rows}`, {
      hint: 'run it over parts of the input',
    })
  }
  return bases
}
