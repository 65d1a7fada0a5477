/**
 * What two runs over the same data decided differently: rows that one kept and the other did not, and rows that
 * left both in another way, each kind with a few of its rows.
 *
 * Rows are told by their identity, the file and the position in it; the records of both runs are sorted and
 * merged by the kernel, in memory that does not grow with them. A row was kept, removed, routed or quarantined; it
 * was kept where it has no record. A routed row's text is in its file of `routed/` alone, so it is not shown.
 */
import { writeFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { GristmillError } from '../core/errors.js'
import { compareBytewise } from '../core/bytewise.js'
import { formatCount } from '../core/units.js'
import { identityOf } from '../engine/identity.js'
import type { Manifest } from '../engine/manifest.js'
import type { PipelineSpec } from '../engine/pipeline.js'
import type { ByteStore } from '../io/store.js'
import { RemovedDiff, type Rule } from '../kernels/removed-diff.js'
import { openRun } from './run-directory.js'
import { InputReader, likelyFolders } from './why/input.js'
import { Replayer } from './why/replay.js'
import type { WhyContext } from './why/why.js'

/** Kinds of change whose rows are read again for their texts, most rows first. */
const SHOWN_CHANGES = 12
/** Characters of a sample's text. */
const SAMPLE_CHARACTERS = 300
const CHUNK_BYTES = 1 << 20

export interface RunDiff {
  readonly before: RunSide
  readonly after: RunSide
  readonly inputs: {
    readonly both: number
    /** Inputs of one run alone; what it removed of them counts as `elsewhere`. */
    readonly beforeOnly: readonly string[]
    readonly afterOnly: readonly string[]
  }
  /** By kind, then most rows first. */
  readonly changes: readonly DiffChange[]
  /** The changes as pairs of outcomes; rows that both runs kept are in no record and not among them. */
  readonly moves: readonly DiffMove[]
  readonly notes: readonly string[]
}

export interface RunSide {
  readonly run: string
  readonly name: string
  readonly totals: Manifest['totals']
}

export interface DiffChange {
  /**
   * - `removed`: kept by the first run, removed or quarantined by the second
   * - `routed`: kept by the first run, routed by the second
   * - `returned`: kept by the second run, not by the first
   * - `moved`: left both, by other rules or with another outcome
   * - `same`: left both, by the same rule
   * - `elsewhere`: left one; the other has no such input
   */
  readonly change: Change
  /** How the rows left each run; undefined where the run kept them or had no such input. */
  readonly before?: Rule
  readonly after?: Rule
  readonly rows: number
  readonly samples: readonly DiffSample[]
}

export interface DiffSample {
  /** Undefined when the input is gone. */
  readonly id?: string
  readonly file: string
  readonly position: number
  /** The start of the document as the input has it, private data masked; none where either run routed the row. */
  readonly text?: string
}

type Change = 'removed' | 'routed' | 'returned' | 'moved' | 'same' | 'elsewhere'

/** Rows of one outcome in the first run and another, or the same, in the second. */
export interface DiffMove {
  readonly before: Outcome
  readonly after: Outcome
  readonly rows: number
}

/** `absent`: the run has no such input. */
export type Outcome = 'kept' | Rule['outcome'] | 'absent'

const ORDER: readonly Change[] = ['removed', 'routed', 'returned', 'moved', 'same', 'elsewhere']
const OUTCOMES: readonly Outcome[] = ['kept', 'removed', 'quarantined', 'routed', 'absent']

interface OpenRun {
  readonly run: string
  readonly store: ByteStore
  readonly manifest: Manifest
}

type Changed = ReturnType<RemovedDiff['finish']>[number]

/** Compares two finished runs; `samples` rows of each kind of change are shown. */
export async function diffRuns(before: string, after: string, samples: number, context: WhyContext): Promise<RunDiff> {
  const runs = [await openFinished(before, context), await openFinished(after, context)] as const
  const inputs = inputsOf(runs)
  const scratch = await mkdtemp(path.join(tmpdir(), 'gristmill-diff-'))
  try {
    using diff = new RemovedDiff(inputs, scratch, samples)
    const gone: Gone[] = []
    for (const [side, run] of runs.entries()) gone.push(...(await addRun(diff, side as 0 | 1, run, scratch)))
    const changes = diff
      .finish()
      .toSorted((a, b) => ORDER.indexOf(a.change) - ORDER.indexOf(b.change) || b.rows - a.rows)
    const paths = (kept: (input: (typeof inputs)[number]) => boolean): string[] =>
      inputs.filter(kept).map((input) => input.path)
    return {
      before: sideOf(runs[0]),
      after: sideOf(runs[1]),
      inputs: {
        both: inputs.filter((input) => input.before && input.after).length,
        beforeOnly: paths((input) => !input.after),
        afterOnly: paths((input) => !input.before),
      },
      changes: await withTexts(changes, runs, { context, untold: gone.length > 0 }),
      moves: movesOf(changes),
      notes: [...gone.map(goneNote), ...notesOf(runs)],
    }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

async function openFinished(run: string, { stores }: WhyContext): Promise<OpenRun> {
  const store = await stores.open(run)
  const opened = await openRun(store)
  if (opened.state === 'finished') return { run, store, manifest: opened.manifest }
  throw new GristmillError('GM_RUN_MISSING', `${run} is unfinished: it has no manifest yet`, {
    hint: 'run the same command again to finish it',
  })
}

const sideOf = ({ run, manifest: { name, totals } }: OpenRun): RunSide => ({ run, name, totals })

function inputsOf([a, b]: readonly [OpenRun, OpenRun]): { path: string; before: boolean; after: boolean }[] {
  const [before, after] = [a, b].map(({ manifest }) => new Set(manifest.inputs.map((input) => input.path))) as [
    Set<string>,
    Set<string>,
  ]
  return [...new Set([...before, ...after])]
    .toSorted(compareBytewise)
    .map((input) => ({ path: input, before: before.has(input), after: after.has(input) }))
}

/** A file of routed rows that cannot be read: a run may be handed on without, and only its owner may read it. */
interface Gone {
  readonly run: string
  readonly name: string
  readonly rows: number
}

/** Adds all records of a run; tells the files of routed rows that are not at hand. */
async function addRun(
  diff: RemovedDiff,
  side: 0 | 1,
  { run, store, manifest }: OpenRun,
  scratch: string,
): Promise<Gone[]> {
  const add = async (name: string, routedBy?: string): Promise<void> => {
    if (store.localFolder !== undefined) {
      diff.addFile(side, path.join(store.localFolder, name), routedBy)
      return
    }
    const copy = path.join(scratch, 'records.parquet')
    await writeFile(copy, store.stream(name, { chunkBytes: () => CHUNK_BYTES }))
    diff.addFile(side, copy, routedBy)
    await rm(copy)
  }
  for (const { name } of manifest.removed) await add(name)
  const gone: Gone[] = []
  for (const { name, rows, step } of manifest.routed ?? []) {
    try {
      await add(name, step)
    } catch (error) {
      if (!(error instanceof GristmillError) || error.code !== 'GM_IO') throw error
      gone.push({ run, name, rows })
    }
  }
  for (const { name } of manifest.quarantine) {
    for await (const line of linesOf(store, name)) {
      const { file, offset, code } = JSON.parse(line) as { file: string; offset: number; code: string }
      diff.addQuarantined(side, file, offset, code)
    }
  }
  return gone
}

const goneNote = ({ run, name, rows }: Gone): string =>
  `${run} routed ${formatCount(rows)} rows to ${name}, which is not at hand: they count as kept, and no texts are shown`

function movesOf(changes: readonly Changed[]): DiffMove[] {
  const moves = new Map<string, DiffMove>()
  for (const { change, before, after, rows } of changes) {
    const missing: Outcome = change === 'elsewhere' ? 'absent' : 'kept'
    const move = { before: before?.outcome ?? missing, after: after?.outcome ?? missing }
    const key = `${move.before} ${move.after}`
    moves.set(key, { ...move, rows: rows + (moves.get(key)?.rows ?? 0) })
  }
  const place = ({ before, after }: DiffMove): number =>
    OUTCOMES.indexOf(before) * OUTCOMES.length + OUTCOMES.indexOf(after)
  return [...moves.values()].toSorted((a, b) => place(a) - place(b))
}

async function* linesOf(store: ByteStore, name: string): AsyncGenerator<string> {
  let rest = Buffer.alloc(0)
  for await (const chunk of store.stream(name, { chunkBytes: () => CHUNK_BYTES })) {
    const bytes = Buffer.concat([rest, chunk])
    let from = 0
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, from)) {
      yield bytes.toString('utf8', from, at)
      from = at + 1
    }
    rest = bytes.subarray(from)
  }
}

/** What makes rows of the two runs not quite the same rows. */
function notesOf([a, b]: readonly [OpenRun, OpenRun]): string[] {
  const notes: string[] = []
  const of = new Map(a.manifest.inputs.map((input) => [input.path, input.fingerprint]))
  const changed = b.manifest.inputs.filter(
    ({ path: input, fingerprint }) => (of.get(input) ?? fingerprint) !== fingerprint,
  )
  if (changed.length > 0) {
    notes.push(
      `${changed.length} of the inputs changed between the runs (${changed[0]!.path}): a position may mean another row`,
    )
  }
  const source = ({ manifest }: OpenRun): string => {
    const {
      where,
      onMissing,
      columns: _columns,
      paths: _paths,
      ...rest
    } = (manifest.configuration as PipelineSpec).source
    return identityOf({ where, onMissing, rest })
  }
  if (source(a) !== source(b)) {
    notes.push(
      'the runs read their inputs with other options of the source: rows it left out by request are not compared',
    )
  }
  return notes
}

/** Reads the samples of the largest changes again; without their texts where it is `untold` which rows were routed. */
async function withTexts(
  changes: readonly Changed[],
  runs: readonly [OpenRun, OpenRun],
  { context, untold }: { readonly context: WhyContext; readonly untold: boolean },
): Promise<DiffChange[]> {
  const shown = new Set(
    changes
      .filter(({ change }) => change !== 'same')
      .toSorted((a, b) => b.rows - a.rows)
      .slice(0, SHOWN_CHANGES),
  )
  const readers = runs.map((run) => sampleReader(run, context))
  const done: DiffChange[] = []
  for (const change of changes) {
    const samples: DiffSample[] = []
    for (const { routed, ...sample } of change.samples) {
      // The run that has the input; the second where both have.
      const reader = change.after ? readers[1]! : readers[0]!
      const read = shown.has(change) ? await reader(sample) : undefined
      const text = read && !routed && !untold ? await maskedByBoth(read.text, readers) : undefined
      samples.push({ ...sample, ...(read && { id: read.id }), ...(text !== undefined && { text }) })
    }
    done.push({ ...change, samples })
  }
  return done
}

type SampleReader = ((row: {
  readonly file: string
  readonly position: number
}) => Promise<{ id: string; text: string } | undefined>) & {
  readonly mask: (text: string) => Promise<string>
  /** Whether the run has a step that routes rows. */
  readonly routes: () => boolean
}

function sampleReader({ run, store, manifest }: OpenRun, { registry, stores, pipeline }: WhyContext): SampleReader {
  const baseFolders = pipeline ? [pipeline.baseFolder] : likelyFolders(run)
  const input = new InputReader({ manifest, registry, stores, baseFolders })
  let replayer: Replayer | undefined
  const replay = (): Replayer =>
    (replayer ??= new Replayer({
      manifest,
      registry,
      store,
      baseFolder: pipeline?.baseFolder ?? input.baseFolder ?? process.cwd(),
      functions: undefined,
    }))
  const read = async ({
    file,
    position,
  }: {
    readonly file: string
    readonly position: number
  }): Promise<{ id: string; text: string } | undefined> => {
    const reread = await input.read(file, position)
    if ('gone' in reread) return undefined
    const id = reread.batch.ids()[0]!
    const { text } = await replay().play(reread.batch, input.columns, id, 0)
    return { id, text: text ?? '' }
  }
  return Object.assign(read, { mask: async (text: string) => replay().masked(text), routes: () => replay().routesRows })
}

/**
 * The start of a text without what either run holds for private. None when that cannot be told, nor when a run that
 * routes rows finds something in it: rows that were routed may have the same text.
 */
async function maskedByBoth(text: string, readers: readonly SampleReader[]): Promise<string | undefined> {
  let masked = text
  try {
    for (const { mask, routes } of readers) {
      if (routes() && (await mask(text)) !== text) return undefined
      masked = await mask(masked)
    }
  } catch (error) {
    if (error instanceof GristmillError) return undefined
    throw error
  }
  return Array.from(masked.slice(0, 2 * SAMPLE_CHARACTERS))
    .slice(0, SAMPLE_CHARACTERS)
    .join('')
}
