/**
 * The rounds in which a boundary is decided (a deduplication, the parameters of steps), from what the tasks before it left.
 *
 * A round's tasks can be planned once those of the rounds before are done; their names derive from content,
 * so that what was decided is found again. The last round's files are the verdicts. Files of other rounds are
 * scratch: once the last one is done nobody needs them.
 */
import path from 'node:path'
import { GristmillError } from '../core/errors.js'
import type { IndexedFile } from './against.js'
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
  /** Indexes of earlier runs; their rows always stay. */
  readonly against: readonly IndexedFile[]
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
  /** As in `minhash-dedup: buckets`. */
  readonly name: string
  /** The round's tasks; `done` are those of the round before. */
  plan(done: readonly DoneDecision[]): PlannedDecision[]
}

/** The rounds of a boundary's decision, in order. */
export function decideRounds(context: DecideContext): DecideRound[] {
  const { dedup, fit } = context.boundary
  if (fit) {
    return [{ name: `fit ${fit.map(({ label }) => label).join(', ')}`, plan: () => planFit(context) }]
  }
  return dedupRounds(context).map(({ name, plan }) => ({ name: `${dedup!.label}: ${name}`, plan }))
}

function dedupRounds(context: DecideContext): DecideRound[] {
  const against: DecideRound = { name: 'against', plan: () => planAgainst(context) }
  const before = context.against.length === 0 ? [] : [against]
  switch (context.boundary.dedup?.kind) {
    case undefined:
      return []
    case 'exact':
      return [...before, { name: 'decide', plan: (known) => planExact(context, known) }]
    case 'parts':
      return [{ name: 'decide', plan: () => planParts(context) }]
    case 'minhash':
      return [...before, ...nearRounds(context)]
  }
}

/** Keys of one part: a file of an earlier run's index, or a task. Parts are numbered in this order. */
type Keys = { readonly part: number; readonly ref: SegmentRef; readonly checksum: string }

/** Segments of every part's keys, by partition; `known` are the keys of earlier runs. */
function keysByPartition({ boundary, outcomes, directory }: DecideContext, known: readonly DoneDecision[]): Keys[][] {
  const partitions = Array.from({ length: boundary.dedup!.partitions }, (): Keys[] => [])
  const files = known.map(({ task, result }) => ({ ...result.file, path: task.path }))
  for (const { result } of outcomes) {
    const file = result.keys
    if (!file) throw new GristmillError('GM_INTERNAL', 'a task before a deduplication left no keys')
    files.push({ ...file, path: path.join(directory.keys, file.path) })
  }
  for (const [part, file] of files.entries()) {
    for (const { group, checksum, ...segment } of file.segments) {
      partitions[group]!.push({ part, ref: { path: file.path, ...segment }, checksum })
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

function planAgainst(context: DecideContext): PlannedDecision[] {
  return context.against.map((file) =>
    planned(context, {
      round: 'against',
      scratch: true,
      inputs: [file.run, file.name, file.checksum],
      work: { kind: 'against', file },
    }),
  )
}

function planExact(context: DecideContext, known: readonly DoneDecision[]): PlannedDecision[] {
  return keysByPartition(context, known).map((keys, partition) => {
    const placed = keys.map(({ part, ref, checksum }) => {
      const run = context.against[part]?.run
      return { run, task: run === undefined ? part - known.length : part, ref, checksum }
    })
    return planned(context, {
      round: 'decide',
      scratch: false,
      inputs: [partition, placed.map(({ run, task, checksum }) => [run ?? null, task, checksum])],
      work: { kind: 'exact', keys: placed.map(({ run, task, ref }) => ({ run, task, ...ref })) },
    })
  })
}

function planParts(context: DecideContext): PlannedDecision[] {
  return keysByPartition(context, []).map((keys, partition) =>
    planned(context, {
      round: 'decide',
      scratch: false,
      inputs: [partition, keys.map(({ part, checksum }) => [part, checksum])],
      work: { kind: 'parts', keys: keys.map(({ part, ref }) => ({ task: part, ...ref })) },
    }),
  )
}

/** One task a step: it reads what every task of the stage saw. */
function planFit(context: DecideContext): PlannedDecision[] {
  const { boundary, outcomes, directory } = context
  const seen = outcomes.flatMap(({ result: { keys } }) =>
    (keys?.segments ?? []).map(({ checksum, offset, length }) => ({
      checksum,
      ref: { path: path.join(directory.keys, keys!.path), offset, length },
    })),
  )
  return (boundary.fit ?? []).map((_, index) =>
    planned(context, {
      round: 'fit',
      scratch: false,
      inputs: [index, seen.map(({ checksum }) => checksum)],
      work: { kind: 'fit', index, seen: seen.map(({ ref }) => ref) },
    }),
  )
}

/** Buckets of each partition; components over all; shingle sets of candidates; each group, decided. */
function nearRounds(context: DecideContext): DecideRound[] {
  const { against, outcomes, directory } = context
  const bases = rowBases(context)
  const buckets = (known: readonly DoneDecision[]): PlannedDecision[] =>
    keysByPartition(context, known).map((keys, partition) =>
      planned(context, {
        round: 'buckets',
        scratch: true,
        inputs: [partition, bases[against.length], keys.map(({ part, checksum }) => [bases[part], checksum])],
        work: {
          kind: 'buckets',
          keys: keys.map(({ part, ref }) => ({ base: bases[part]!, ...ref })),
          known: bases[against.length]!,
        },
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
    const wanted = dealt.result.file.segments.filter(({ group }) => group < bases.length - 1)
    return wanted.map((segment) => {
      const part = segment.group
      const ref = refOf(dealt!, segment)
      const file = against[part]
      if (file) {
        const work = { kind: 'sets', from: file, part, wanted: ref } as const
        return planned(context, { round: 'sets', scratch: true, inputs: [file.checksum, segment.checksum], work })
      }
      const { name, result } = outcomes[part - against.length]!
      const from = { ...result.spill!, path: path.join(directory.folder('spill'), result.spill!.path) }
      return planned(context, {
        round: 'sets',
        scratch: true,
        inputs: [name, segment.checksum],
        work: { kind: 'sets', from, part, wanted: ref },
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
  const { against, outcomes } = context
  const groups = Array.from({ length: dealt.result.counts['groups'] ?? 0 }, () => ({
    parts: [] as Extract<DecideWork, { kind: 'clusters' }>['parts'][number][],
    buckets: [] as SegmentRef[],
    inputs: [] as unknown[],
  }))
  for (const segment of dealt.result.file.segments) {
    const group = groups[segment.group - (bases.length - 1)]
    if (!group) continue
    group.buckets.push(refOf(dealt, segment))
    group.inputs.push(segment.checksum)
  }
  for (const done of sets) {
    const { work } = done.task
    if (work.kind !== 'sets') throw new GristmillError('GM_INTERNAL', 'a round of sets had another task')
    const file = against[work.part]
    const task = file ? work.part : work.part - against.length
    const from = file ? [file.run, file.checksum] : [null, outcomes[task]!.name]
    const base = bases[work.part]!
    for (const segment of done.result.file.segments) {
      const group = groups[segment.group]!
      group.parts.push({ run: file?.run, task, base, sets: done.task.path, members: refOf(done, segment) })
      group.inputs.push([task, base, from, segment.checksum])
    }
  }
  return groups.map(({ parts, buckets, inputs }) =>
    planned(context, { round: 'clusters', scratch: false, inputs, work: { kind: 'clusters', parts, buckets } }),
  )
}

/** Rows before each part (files of earlier runs, then tasks) and, last, of all. */
function rowBases({ against, outcomes }: DecideContext): number[] {
  const bases = [0]
  const parts = [...against.map(({ rows }) => rows), ...outcomes.map(({ result }) => result.spill?.rows ?? 0)]
  for (const rows of parts) bases.push(bases.at(-1)! + rows)
  const rows = bases.at(-1)!
  if (rows > MAX_ROWS) {
    throw new GristmillError('GM_CONFIG', `minhash-dedup compares at most ${MAX_ROWS} rows, but there are ${rows}`, {
      hint: 'run it over parts of the input',
    })
  }
  return bases
}
