/**
 * The life of one row of a finished run: why it was removed, or that it stayed; what every step measured of it;
 * its text, and beside it that of the row which was kept in its place.
 *
 * The record in `removed/` is what happened; the rest is found out again from the input and the recorded
 * configuration. Where the two differ, the answer says so.
 */
import { GristmillError } from '../../core/errors.js'
import type { Manifest } from '../../engine/manifest.js'
import type { UserFunction } from '../../engine/pipeline.js'
import type { Registry } from '../../engine/registry.js'
import type { ByteStore, ByteStores } from '../../io/store.js'
import { addon } from '../../kernels/native.js'
import { openRun } from '../run-directory.js'
import { findById, type Found, type RemovedRecord } from './find.js'
import { InputReader, likelyFolders, type Reread } from './input.js'
import { type ReplayedStep, Replayer } from './replay.js'

/** Rows of one id whose lives are told in full; all are listed. */
const TOLD = 20
const CHUNK_BYTES = 1 << 20

/** A row with its text, as far as it can be shown. */
export interface ShownRow {
  readonly id: string
  readonly file: string
  readonly position: number
  /** As it came to the step that decided; private data masked. Undefined when the input is gone. */
  readonly text: string | undefined
}

export interface RowLife extends ShownRow {
  readonly outcome: 'kept' | 'removed' | 'routed' | 'quarantined' | 'left out'
  readonly removed: Omit<RemovedRecord, 'text' | 'keeper' | 'routedTo'> | undefined
  /** The step that took the row to a file of `routed/`; its text is nowhere else, and not here. */
  readonly routed:
    | { readonly step: string; readonly rule: string; readonly value: number | null; readonly file: string }
    | undefined
  /** The row that stayed in its place. */
  readonly keeper: ShownRow | undefined
  readonly shard: Found['shard']
  readonly quarantined: { readonly code: string; readonly reason: string } | undefined
  readonly steps: readonly ReplayedStep[]
  /** What one should know before trusting the rest. */
  readonly notes: readonly string[]
}

export interface WhyContext {
  readonly registry: Registry
  readonly stores: ByteStores
  /** From the pipeline file, when it was given: where paths start, and the functions of its module. */
  readonly pipeline?: { readonly baseFolder: string; readonly functions: readonly UserFunction[] } | undefined
}

/** The lives of all rows with an id; a row without one is asked for as `FILE:POSITION`. */
export async function whyRow(run: string, id: string, context: WhyContext): Promise<RowLife[]> {
  const store = await context.stores.open(run)
  const opened = await openRun(store)
  if (opened.state === 'unfinished') {
    throw new GristmillError('GM_RUN_MISSING', `${run} is unfinished: it has no manifest yet`, {
      hint: 'run the same command again to finish it, or ask another run',
    })
  }
  const { manifest } = opened
  const { registry, stores, pipeline } = context
  const baseFolders = pipeline ? [pipeline.baseFolder] : likelyFolders(run)
  const reader = new InputReader({ manifest, registry, stores, baseFolders })
  const teller = new Teller({ store, manifest }, reader, context)
  const found = await findById(store, manifest, id, context)
  if (found.length > 0) {
    const lives: RowLife[] = []
    for (const [index, row] of found.entries()) lives.push(index < TOLD ? await teller.tell(row) : teller.list(row))
    return lives
  }
  const place = placeOf(id, manifest)
  const life = place && (await byPlace(store, manifest, place, { context, reader, teller }))
  if (life) return life
  throw new GristmillError('GM_ROW_MISSING', `${run} has no row '${id}'`, await routedHint(store, manifest))
}

/** Routed rows have no record but the files that a run may be handed on without. */
async function routedHint(store: ByteStore, { routed = [] }: Manifest): Promise<{ hint?: string }> {
  for (const { name } of routed) {
    if (!(await store.stat(name))) {
      return { hint: `${name} is not at hand, so a routed row is found only by its place, as FILE:POSITION` }
    }
  }
  return {}
}

interface Place {
  readonly file: string
  readonly position: number
}

/** An id of the form `FILE:POSITION`, when the run has that file. */
function placeOf(id: string, manifest: Manifest): Place | undefined {
  const parts = /^(?<file>.+):(?<position>\d+)$/u.exec(id)?.groups
  if (!parts || !manifest.inputs.some(({ path }) => path === parts['file'])) return undefined
  return { file: parts['file']!, position: Number(parts['position']) }
}

/** The rows at a place: under the id they have, in quarantine, or left out by the source. */
async function byPlace(
  store: ByteStore,
  manifest: Manifest,
  place: Place,
  { context, reader, teller }: { context: WhyContext; reader: InputReader; teller: Teller },
): Promise<RowLife[] | undefined> {
  const bad = await quarantinedAt(store, manifest, place)
  if (bad) return [{ ...bare(place), outcome: 'quarantined', quarantined: bad }]
  const reread = await reader.read(place.file, place.position)
  if ('gone' in reread) {
    throw new GristmillError('GM_ROW_MISSING', `${place.file}:${place.position} cannot be looked up: ${reread.gone}`, {
      hint: 'ask by the id of the row, or pass --pipeline FILE if the data lies elsewhere',
    })
  }
  const id = reread.batch.ids()[0]!
  reread.batch.dispose()
  const found = await findById(store, manifest, id, context)
  const here = found.filter(({ file, position }) => file === place.file && position === place.position)
  const lives: RowLife[] = []
  for (const row of here) lives.push(await teller.tell(row))
  return lives.length > 0 ? lives : [await teller.unlisted(id, place)]
}

async function quarantinedAt(
  store: ByteStore,
  manifest: Manifest,
  { file, position }: Place,
): Promise<{ code: string; reason: string } | undefined> {
  for (const { name } of manifest.quarantine) {
    let rest = ''
    for await (const chunk of store.stream(name, { chunkBytes: () => CHUNK_BYTES })) {
      const lines = (rest + chunk.toString('latin1')).split('\n')
      rest = lines.pop()!
      for (const line of lines) {
        if (!line.includes(`"offset":${position},`)) continue
        const record = JSON.parse(Buffer.from(line, 'latin1').toString()) as {
          file: string
          offset: number
          code: string
          reason: string
        }
        if (record.file === file && record.offset === position) return { code: record.code, reason: record.reason }
      }
    }
  }
  return undefined
}

const bare = ({ file, position }: Place): RowLife => ({
  id: `${file}:${position}`,
  file,
  position,
  outcome: 'left out',
  removed: undefined,
  routed: undefined,
  keeper: undefined,
  shard: undefined,
  quarantined: undefined,
  steps: [],
  text: undefined,
  notes: [],
})

class Teller {
  readonly #store: ByteStore
  readonly #manifest: Manifest
  readonly #reader: InputReader
  readonly #context: WhyContext
  #replayer: Replayer | undefined

  constructor(
    { store, manifest }: { readonly store: ByteStore; readonly manifest: Manifest },
    reader: InputReader,
    context: WhyContext,
  ) {
    this.#store = store
    this.#manifest = manifest
    this.#reader = reader
    this.#context = context
  }

  /** A row by what the run's files say alone. */
  list(found: Found): RowLife {
    const { id, file, position, removed, shard } = found
    const life = { ...bare({ file, position }), id }
    if (removed === undefined) return { ...life, outcome: 'kept', shard }
    const { text: _text, keeper, routedTo, ...record } = removed
    if (routedTo !== undefined) {
      const { step, rule, value } = record
      return { ...life, outcome: 'routed', routed: { step, rule, value, file: routedTo } }
    }
    return { ...life, outcome: 'removed', removed: record, keeper: keeper && { ...keeper, text: undefined } }
  }

  /** A row with what its input and the steps say. */
  async tell(found: Found): Promise<RowLife> {
    const life = this.list(found)
    const notes = this.#versionNotes()
    const reread = await this.#reader.read(found.file, found.position)
    if ('gone' in reread) {
      const text = found.removed?.text
      const shown = text === undefined ? 'its text and what the steps measured' : 'what the steps measured'
      return {
        ...life,
        text: await this.#shown(text, notes),
        steps: found.removed ? [recordedStep(found.removed)] : [],
        keeper: await this.#keeper(found, notes),
        notes: [...notes, `${reread.gone}; ${shown} cannot be told`],
      }
    }
    return this.#play(life, found, reread, notes)
  }

  /** A row that is in no output: the source left it out, or a step cut it into rows of other ids. */
  async unlisted(id: string, place: Place): Promise<RowLife> {
    const life = { ...bare(place), id }
    const reread = await this.#reader.read(place.file, place.position)
    if ('gone' in reread) return { ...life, notes: [reread.gone] }
    const played = await this.#replay().play(reread.batch, this.#reader.columns, id)
    const last = played.steps.at(-1)
    if (last?.outcome === 'removed' && this.#replay().routes(last.step)) {
      const routed = `${last.step} routed it: the row is in routed/ alone`
      return { ...life, steps: played.steps, notes: [...reread.notes, routed] }
    }
    const cut = played.steps.find(({ note }) => note !== undefined)
    const why = cut
      ? `${cut.step} ${cut.note}: ask for one of them, as in ${id}#0`
      : 'source.where does not hold for it'
    const notes = [...reread.notes, why]
    return { ...life, steps: played.steps, text: await this.#shown(played.text, notes), notes }
  }

  async #play(life: RowLife, found: Found, reread: Reread, notes: string[]): Promise<RowLife> {
    notes.push(...reread.notes)
    const { removed } = found
    const replayer = this.#replay()
    const idNow = reread.batch.ids()[0]!
    if (idNow !== found.id && !found.id.startsWith(`${idNow}#`)) {
      reread.batch.dispose()
      const gone = `${found.file} holds the row '${idNow}' at ${found.position} now: it changed since the run`
      notes.push(gone)
      const text = await this.#shown(removed?.text, notes)
      return { ...life, text, steps: removed ? [recordedStep(removed)] : [], notes }
    }
    const end = removed ? replayer.placeOf(removed.step) + 1 : undefined
    const played = await replayer.play(reread.batch, this.#reader.columns, found.id, end)
    notes.push(...played.notes)
    const steps = removed ? withRecord(played.steps, removed, notes) : played.steps
    if (!removed && steps.at(-1)?.outcome === 'removed') {
      notes.push(`played again, ${steps.at(-1)!.step} removes the row, which the run kept`)
    }
    const keeper = await this.#keeper(found, notes)
    const text = life.outcome === 'routed' ? undefined : await this.#shown(played.text, notes)
    return { ...life, steps, text, keeper, notes }
  }

  /** The kept row as it came to the step that compared the two. */
  async #keeper({ removed }: Found, notes: string[]): Promise<ShownRow | undefined> {
    const keeper = removed?.keeper
    if (!keeper) return undefined
    const reread = await this.#reader.read(keeper.file, keeper.position)
    if ('gone' in reread) {
      notes.push(`the text of the kept row cannot be told: ${reread.gone}`)
      return { ...keeper, text: undefined }
    }
    const replayer = this.#replay()
    const played = await replayer.play(reread.batch, this.#reader.columns, keeper.id, replayer.placeOf(removed.step))
    return { ...keeper, text: await this.#shown(played.text, notes) }
  }

  /** A text with private data masked; none when it cannot be. */
  async #shown(text: string | undefined, notes: string[]): Promise<string | undefined> {
    if (text === undefined) return undefined
    try {
      return await this.#replay().masked(text)
    } catch (error) {
      if (!(error instanceof GristmillError)) throw error
      notes.push(`the text is not shown, since private data in it cannot be masked: ${error.message}`)
      return undefined
    }
  }

  #replay(): Replayer {
    const { registry, pipeline } = this.#context
    return (this.#replayer ??= new Replayer({
      manifest: this.#manifest,
      registry,
      store: this.#store,
      baseFolder: pipeline?.baseFolder ?? this.#reader.baseFolder ?? process.cwd(),
      functions: pipeline?.functions,
    }))
  }

  #versionNotes(): string[] {
    const { kernelVersion } = this.#manifest
    const now = addon.kernelVersion()
    if (kernelVersion === now) return []
    return [`the run was made with kernels ${kernelVersion}, these are ${now}: what is measured now may differ`]
  }
}

const recordedStep = ({ step, rule, value, threshold, routedTo }: RemovedRecord): ReplayedStep => ({
  step,
  outcome: routedTo === undefined ? 'removed' : 'routed',
  measured: [{ rule, value, ...(threshold !== null && { threshold }), passes: false }],
  edits: [],
})

/** The played steps with what the record says of the last. */
function withRecord(steps: readonly ReplayedStep[], removed: RemovedRecord, notes: string[]): ReplayedStep[] {
  const recorded = recordedStep(removed)
  const last = steps.at(-1)
  if (last?.step !== removed.step) {
    if (last?.outcome === 'removed') {
      notes.push(`played again, ${last.step} removes the row before ${removed.step}, which removed it in the run`)
    }
    return [...steps, recorded]
  }
  const others = last.measured.filter(({ rule }) => rule !== removed.rule)
  const same = last.measured.find(({ rule }) => rule === removed.rule)
  if (same?.passes === true) notes.push(`played again, the rule ${removed.rule} of ${removed.step} passes the row`)
  // In the order of the rules, the recorded value in place of the played one.
  const measured = same
    ? last.measured.map((one) => (one.rule === removed.rule ? recorded.measured[0]! : one))
    : [...others, recorded.measured[0]!]
  return [...steps.slice(0, -1), { ...last, outcome: recorded.outcome, measured }]
}
