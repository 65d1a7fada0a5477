/**
 * What a feeder makes of a prepared pipeline: one stage, the packing of its tasks, and a task for each split.
 *
 * Tasks are packed each by itself, so that any of them can be made alone, at any time, on any machine. What needs the
 * whole data is refused, and so is what only a run has a place for.
 */
import { GristmillError } from '../core/errors.js'
import type { PackOptions } from '../kernels/packing.js'
import type { Piece, SequentialFile, Split } from '../sources/source.js'
import { identityOf } from './identity.js'
import { wholeSplit } from './look.js'
import { labelsAt, planStages, type Plan, type Stage } from './plan.js'
import type { PreparedPipeline } from './prepare.js'
import { piecesIdentity } from './tasks.js'

/** A compressed stream that one reader must walk is read whole, as one task, when it is estimated below this. */
const WHOLE_STREAM_BYTES = 256 * 2 ** 20

/** What to do about a pipeline that cannot run while a training does. */
const RUN_IT_FIRST = 'run the pipeline once with `gristmill run … --out DIR`, and give the loader DIR'

export interface FeedTask {
  /** Made of content: of the inputs, and of everything its sequences depend on. */
  readonly name: string
  readonly split: Split
}

export interface FeedPlan {
  readonly plan: Plan
  readonly stage: Stage
  readonly pack: PackOptions
  readonly tasks: readonly FeedTask[]
  /** What the sequences depend on, by name, for states to be compared by. */
  readonly identity: Readonly<Record<string, unknown>>
}

export interface FeedOptions {
  /** Tokens of a sequence; takes the place of the pack step's length, or of the step. */
  readonly sequenceLength?: number | undefined
  /** Bytes of text that a task has, about. */
  readonly taskBytes: number
}

/** Plans the feed; throws what makes a pipeline unfit for it. */
export function planFeed(prepared: PreparedPipeline, { sequenceLength, taskBytes }: FeedOptions): FeedPlan {
  const plan = planStages(prepared, 0)
  const [stage] = plan.stages
  if (!stage) throw new GristmillError('GM_INTERNAL', 'a plan without a stage')
  refuse(prepared, stage)
  const pack = packingOf(plan, sequenceLength)
  const splits = prepared.splits.flatMap((split) => cutSplit(asOneTask(split), taskBytes))
  if (splits.length === 0) throw new GristmillError('GM_INPUT_NONE', 'the pipeline has no input to feed from')
  const pieces = splits.map(piecesIdentity)
  const { kernels, source, steps, functions } = stage.identity as Record<string, unknown>
  return {
    plan,
    stage,
    pack,
    tasks: splits.map((split, index) => ({
      name: `b-${identityOf({ stage: stage.identity, pack, pieces: pieces[index] })}`,
      split,
    })),
    identity: {
      kernels,
      source: identityOf(source),
      steps: (steps as readonly (readonly [string, ...unknown[]])[]).map((step) => `${step[0]} ${identityOf(step)}`),
      functions: functions ?? null,
      packing: pack,
      inputs: identityOf(pieces),
      task_bytes: taskBytes,
    },
  }
}

function refuse({ columns, steps }: PreparedPipeline, stage: Stage): void {
  const [whole] = labelsAt(stage.boundary)
  if (whole !== undefined) {
    throw new GristmillError('GM_CONFIG', `the step '${whole}' needs the whole data, which no training can wait for`, {
      hint: RUN_IT_FIRST,
    })
  }
  const routing = steps.find(({ routes }) => routes)
  if (routing) {
    throw new GristmillError('GM_CONFIG', `the step '${routing.label}' routes rows to files, and a feed writes none`, {
      hint: `${RUN_IT_FIRST}; or choose another action`,
    })
  }
  if (columns.some(({ name, type }) => name === 'tokens' && type === 'tokens')) return
  throw new GristmillError('GM_CONFIG', 'the pipeline gives no token ids to feed', { hint: 'add a step `tokenize`' })
}

function packingOf({ pack }: Plan, sequenceLength: number | undefined): PackOptions {
  if (pack) {
    const { length, strategy, truncate } = pack
    return { length: sequenceLength ?? length, strategy, truncate }
  }
  if (sequenceLength !== undefined) return { length: sequenceLength, strategy: 'best-fit', truncate: false }
  throw new GristmillError('GM_CONFIG', 'the length of the sequences is not known', {
    hint: 'pass seq_len, or end the pipeline with `pack: { length: … }`',
  })
}

/** A stream that a run would cut while it reads it, as one task: only from its start can any of it be had. */
function asOneTask(split: Split | SequentialFile): Split {
  if (split.kind === 'split') return split
  const { file, bytes } = split
  if (file.url !== '-' && bytes <= WHOLE_STREAM_BYTES) {
    return wholeSplit(file, bytes)
  }
  const name = file.url === '-' ? 'standard input' : file.path
  throw new GristmillError('GM_CONFIG', `${name} can only be read from its start to its end, and is long`, {
    hint: `store it in several files or, with zstd, in several frames; or ${RUN_IT_FIRST}`,
  })
}

/**
 * A split as smaller ones of about `bytes` bytes: the splits of a run are larger than what a trainer should wait for.
 * Files that are read whole stay so, and so do frames and row groups.
 */
export function cutSplit(split: Split, bytes: number): Split[] {
  const stored = split.pieces.reduce((sum, { file }) => sum + file.size, 0)
  const expansion = split.bytes / Math.max(1, stored)
  const cuts: { kind: 'split'; pieces: Piece[]; bytes: number }[] = []
  let open: (typeof cuts)[number] | undefined
  for (const piece of split.pieces.flatMap((whole) => cutPiece(whole, bytes))) {
    const { range } = piece
    const size = range.kind === 'bytes' ? range.to - range.from : piece.file.size * expansion
    if (open && open.bytes + size > bytes) open = undefined
    if (!open) {
      open = { kind: 'split', pieces: [], bytes: 0 }
      cuts.push(open)
    }
    open.pieces.push(piece)
    open.bytes += size
  }
  return cuts
}

/** A stretch of records that can be found from any byte, cut anywhere. */
function cutPiece(piece: Piece, bytes: number): Piece[] {
  const { file, range } = piece
  if (range.kind !== 'bytes') return [piece]
  const pieces: Piece[] = []
  for (let from = range.from; from < range.to;) {
    const next = from + bytes
    const to = range.to - next < bytes / 2 ? range.to : next
    pieces.push({ file, range: { ...range, from, to } })
    from = to
  }
  return pieces
}
