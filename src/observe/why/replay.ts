/**
 * Plays a row through the recorded steps again and notes what each of them measured and did.
 *
 * Steps that need the whole data (a deduplication, a shuffle) cannot be played with one row; what they decided
 * is in the records of the run. Steps whose parameters were found in the data take those the run left. A step that only makes tokens at the end is not played: it removes nothing.
 */
import { GristmillError } from '../../core/errors.js'
import { identityOf } from '../../engine/identity.js'
import type { Manifest } from '../../engine/manifest.js'
import type { PipelineSpec, StepSpec, UserFunction } from '../../engine/pipeline.js'
import { labelsOf } from '../../engine/prepare.js'
import type { Registry } from '../../engine/registry.js'
import type { ByteStore } from '../../io/store.js'
import { Batch, type Columns } from '../../kernels/batch.js'
import { batchFromRows } from '../../kernels/columns.js'
import { addon } from '../../kernels/native.js'
import { RowReader } from '../../kernels/rows.js'
import type { AnyStep, MapStep, Measured, Prepared, StepContext } from '../../steps/step.js'

export interface ReplayedStep {
  /** Name in the records. */
  readonly step: string
  readonly outcome: 'kept' | 'changed' | 'removed' | 'routed' | 'not played'
  /** What it measured of the row. */
  readonly measured: readonly Measured[]
  /** What it changed in the text, by rule. */
  readonly edits: readonly { readonly rule: string; readonly count: number; readonly bytes: number }[]
  /** UTF-8 bytes of the text before and after, where it changed. */
  readonly textBytes?: { readonly before: number; readonly after: number }
  readonly note?: string
}

export interface ReplayContext {
  readonly manifest: Manifest
  readonly registry: Registry
  readonly baseFolder: string
  /** The run, for the parameters its steps found. */
  readonly store: ByteStore
  /** Functions of the pipeline's module; undefined when it is not at hand. */
  readonly functions: readonly UserFunction[] | undefined
}

export interface Replay {
  readonly steps: ReplayedStep[]
  /** The row's text as the last step that saw it found or left it; undefined when it has none. */
  readonly text: string | undefined
  readonly notes: readonly string[]
}

type AnyMapStep = MapStep<unknown, unknown>

export class Replayer {
  readonly #context: ReplayContext
  readonly #spec: PipelineSpec
  readonly #labels: readonly string[]
  readonly #prepared = new Map<string, Promise<Prepared<unknown>>>()

  constructor(context: ReplayContext) {
    this.#context = context
    this.#spec = context.manifest.configuration as PipelineSpec
    this.#labels = labelsOf(this.#spec.steps)
  }

  /**
   * Plays a row, which it disposes, through the steps before the one at `end`, or through all that tell something.
   * Of the pieces a step cuts a row into, the one called `id` goes on, if there is one.
   */
  async play(row: Batch, columns: Columns, id: string, end = this.#lastTelling() + 1): Promise<Replay> {
    const steps: ReplayedStep[] = []
    const notes: string[] = []
    let [batch, before] = [row, columns]
    let text = textOf(batch)
    try {
      for (const [index, spec] of this.#spec.steps.entries()) {
        if (index >= end) break
        const label = this.#labels[index]!
        const known = this.#context.registry.steps.get(spec.name)
        if (!known) throw new GristmillError('GM_CONFIG', `there is no step '${spec.name}'`)
        const played = await this.#playStep(known, spec, label, index, batch, before, notes)
        steps.push(played.step)
        if (played.batch !== batch) batch.dispose()
        ;({ batch, columns: before } = played)
        pick(batch, id)
        text = textOf(batch) ?? text
        if (played.step.outcome === 'removed' || played.stop) break
      }
      return { steps, text, notes }
    } finally {
      batch.dispose()
    }
  }

  /** Whether any step does. */
  get routesRows(): boolean {
    return this.#spec.steps.some(isRouting)
  }

  /** Whether a step routes rows to files of their own. */
  routes(step: string): boolean {
    const spec = this.#spec.steps[this.placeOf(step)]
    return spec !== undefined && isRouting(spec)
  }

  /** Place of a step among the recorded ones; -1 when there is none of that name. */
  placeOf(step: string): number {
    return this.#labels.indexOf(step)
  }

  /** The last step that may remove or change a row, as it is shown. */
  #lastTelling(): number {
    return this.#spec.steps.findLastIndex(({ name }) => !['tokenize', 'pack', 'shuffle', 'stats'].includes(name))
  }

  async #playStep(
    known: AnyStep,
    recordedSpec: StepSpec,
    label: string,
    index: number,
    batch: Batch,
    columns: Columns,
    notes: string[],
  ): Promise<{ step: ReplayedStep; batch: Batch; columns: Columns; stop?: true }> {
    const idle = { step: label, outcome: 'kept' as const, measured: [], edits: [] }
    const spec = dropping(recordedSpec)
    if (isFunction(spec) && this.#context.functions === undefined) {
      const note = 'it is a function of the pipeline module: pass --pipeline FILE to play it'
      return { step: { ...idle, outcome: 'not played', note }, batch, columns, stop: true }
    }
    let prepared: Prepared<unknown>
    try {
      prepared = await this.#prepare(known, spec, index, columns, batch)
    } catch (error) {
      if (!(error instanceof GristmillError)) throw error
      return { step: { ...idle, outcome: 'not played', note: error.message }, batch, columns, stop: true }
    }
    const recorded = this.#context.manifest.steps?.[index]?.version
    if (recorded !== undefined && recorded !== identityOf(prepared.identity ?? null)) {
      notes.push(`${label} depends on files that differ from those of the run; its values may differ, too`)
    }
    if (known.kind === 'global' || isCounted(prepared)) return { step: idle, batch, columns: prepared.columns }
    const step: AnyMapStep = known
    const measured = await this.#measure(step, spec, prepared, label, columns, batch)
    const removed = new addon.NativeRemovedLog()
    const edits = new addon.NativeEdits()
    const context = { ...this.#stepContext(removed, edits, label), fitted: await this.#fitted(label) }
    const textBefore = textOf(batch)
    using runner = step.open(structuredClone(prepared.payload), context)
    const after = (await runner.run(batch)) ?? batch
    after.change((handle) => handle.compact())
    const textAfter = textOf(after)
    const gone = after.rows === 0 && removed.rows > 0
    const changed = !gone && textBefore !== undefined && textAfter !== undefined && textBefore !== textAfter
    return {
      step: {
        step: label,
        outcome: gone ? 'removed' : changed ? 'changed' : 'kept',
        measured:
          measured.length > 0 || !gone
            ? measured
            : removed.byRule().map(({ rule }) => ({ rule, value: null, passes: false })),
        edits: edits.byRule().map(({ rule, count, bytes }) => ({ rule, count, bytes })),
        ...(changed && {
          textBytes: { before: Buffer.byteLength(textBefore), after: Buffer.byteLength(textAfter) },
        }),
        ...(after.rows > 1 && { note: `cuts the row into ${after.rows}` }),
      },
      batch: after,
      columns: prepared.columns,
    }
  }

  async #prepare(
    known: AnyStep,
    spec: StepSpec,
    index: number,
    columns: Columns,
    sample: Batch,
  ): Promise<Prepared<unknown>> {
    const { baseFolder, functions } = this.#context
    // A model is loaded once, however many rows are asked about.
    const key = JSON.stringify([index, spec.config, columns])
    let prepared = this.#prepared.get(key)
    if (prepared === undefined) {
      prepared = known.prepare(spec.config, {
        columns,
        baseFolder,
        place: `steps[${index}].${spec.name}`,
        sample,
        userFunction: (at) => functions![at]!,
      })
      this.#prepared.set(key, prepared)
    }
    return prepared
  }

  /** What a step measures of the row, by its own account or by the columns it adds in its annotating mode. */
  async #measure(
    step: AnyMapStep,
    spec: StepSpec,
    prepared: Prepared<unknown>,
    label: string,
    columns: Columns,
    batch: Batch,
  ): Promise<readonly Measured[]> {
    if (batch.rows === 0) return []
    const context = this.#stepContext(new addon.NativeRemovedLog(), new addon.NativeEdits(), label)
    if (step.measure) {
      using copy = Batch.fromIpc(batch.toIpc())
      return step.measure(structuredClone(prepared.payload), copy, context)
    }
    const config = spec.config as { readonly mode?: unknown } | null
    if (typeof config !== 'object' || config?.mode === undefined) return []
    const annotating = { ...config, mode: 'annotate' }
    const index = this.#labels.indexOf(label)
    const annotated = await this.#prepare(step, { ...spec, config: annotating }, index, columns, batch)
    const copy = Batch.fromIpc(batch.toIpc())
    using runner = step.open(structuredClone(annotated.payload), context)
    using result = (await runner.run(copy)) ?? copy
    const added = annotated.columns.filter(({ name }) => !columns.some((column) => column.name === name))
    using reader = new RowReader(result, added)
    const row = { ...reader.row(0) }
    return added
      .filter(({ type }) => type !== 'other' && type !== 'tokens')
      .flatMap(({ name }) => held(name, plainValue(row[name]), config))
  }

  /** Parameters that a step found in the data of the run. */
  async #fitted(step: string): Promise<string | undefined> {
    const { manifest, store } = this.#context
    const file = manifest.fitted?.find((one) => one.step === step)
    return file && (await store.read(file.name, 0, file.bytes)).toString('utf8')
  }

  #stepContext(removed: StepContext['removed'], edits: StepContext['edits'], step: string): StepContext {
    const routed = new addon.NativeRoutedRows() // nothing is routed again, see `dropping`
    return { removed, edits, routed, step, userFunction: (at) => this.#context.functions![at]! }
  }

  /**
   * A text as every step that finds private data leaves it, so that it can be shown. What such a step finds only
   * after the steps before it (an address in HTML entities) is masked, too, at the price of showing what they made.
   */
  async masked(text: string): Promise<string> {
    let shown = text
    for (const [index, { name }] of this.#spec.steps.entries()) {
      if (this.#context.registry.steps.get(name)?.private !== true) continue
      shown = await this.#maskedBy(index, shown)
      const seen = await this.#asSeenBy(index, shown)
      const masked = await this.#maskedBy(index, seen)
      if (masked !== seen) shown = masked
    }
    return shown
  }

  async #maskedBy(index: number, text: string): Promise<string> {
    const { name, config } = this.#spec.steps[index] as { name: string; config: { readonly mode?: unknown } }
    // A step that only counted what it found masks it here.
    const acting = config.mode === undefined ? {} : { mode: 'remove' }
    return (await this.#rewritten(index, { name, config: { ...config, ...acting, action: 'mask' } }, text)) ?? ''
  }

  /** A text as it would come to a step, were it not removed before. */
  async #asSeenBy(end: number, text: string): Promise<string> {
    let seen = text
    for (const [index, spec] of this.#spec.steps.slice(0, end).entries()) {
      const known = this.#context.registry.steps.get(spec.name)
      if (known?.kind !== 'map' || known.private === true || (isFunction(spec) && !this.#context.functions)) continue
      try {
        seen = (await this.#rewritten(index, spec, seen)) ?? seen
      } catch (error) {
        // It looks at other columns than the text.
        if (!(error instanceof GristmillError)) throw error
      }
    }
    return seen
  }

  /** What a step makes of a text; undefined when it makes no one text of it. */
  async #rewritten(index: number, spec: StepSpec, text: string): Promise<string | undefined> {
    const known = this.#context.registry.steps.get(spec.name)
    if (known?.kind !== 'map') return undefined
    using batch = batchFromRows([{ text }], [{ name: 'text', type: 'string' }])
    const prepared = await this.#prepare(known, spec, index, [{ name: 'text', type: 'string' }], batch)
    const context = this.#stepContext(new addon.NativeRemovedLog(), new addon.NativeEdits(), spec.name)
    using runner = known.open(structuredClone(prepared.payload), context)
    const result = (await runner.run(batch)) ?? batch
    try {
      return result.keptRows === 1 && result.rows === 1 ? textOf(result) : undefined
    } finally {
      if (result !== batch) result.dispose()
    }
  }
}

/**
 * A measure against the limits that the options `minNAME` and `maxNAME` set for it, where the column is called
 * `…_name`; just the measure where they set none.
 */
function held(column: string, value: Measured['value'], config: object): Measured[] {
  const limits = Object.entries(config).flatMap(([key, threshold]): Measured[] => {
    const [, kind, measure = ''] = /^(min|max)([A-Z]\w*)$/u.exec(key) ?? []
    const name = measure.replaceAll(/(?<!^)[A-Z]/gu, (capital) => `_${capital}`).toLowerCase()
    if (typeof threshold !== 'number' || name === '' || !`_${column}`.endsWith(`_${name}`)) return []
    if (typeof value !== 'number') return [{ rule: key, value, threshold }]
    return [{ rule: key, value, threshold, passes: kind === 'min' ? value >= threshold : value <= threshold }]
  })
  return limits.length > 0 ? limits : [{ rule: column, value }]
}

/** A step that routes rows, as one that drops them: a routed row is in its own file and nowhere else. */
function dropping(spec: StepSpec): StepSpec {
  const { config } = spec as { readonly config: { readonly action?: unknown } | null }
  return isRouting(spec) ? { ...spec, config: { ...config, action: 'drop' } } : spec
}

const isRouting = ({ config }: StepSpec): boolean =>
  (config as { readonly action?: unknown } | null)?.action === 'route'

const isFunction = ({ config }: StepSpec): boolean =>
  typeof config === 'object' && config !== null && typeof (config as { function?: unknown }).function === 'number'

/** A `sample` by number needs all rows, though it is a map step by its kind. */
const isCounted = ({ payload }: Prepared<unknown>): boolean => (payload as { kind?: unknown } | null)?.kind === 'count'

/** Of several pieces of a row, the one with the id. */
function pick(batch: Batch, id: string): void {
  if (batch.rows < 2) return
  const at = batch.ids().indexOf(id)
  if (at < 0) return
  const bitmap = new Uint8Array(Math.ceil(batch.rows / 8))
  bitmap[at >> 3]! |= 1 << (at & 7)
  batch.change((handle) => {
    handle.retain(bitmap)
    handle.compact()
  })
}

function textOf(batch: Batch): string | undefined {
  if (batch.rows === 0 || !batch.columns().some(([name]) => name === 'text')) return undefined
  using reader = new RowReader(batch, [{ name: 'text', type: 'string' }])
  return (reader.value(0, 'text') as string | null) ?? ''
}

function plainValue(value: unknown): Measured['value'] {
  if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'bigint') return Number(value)
  return value === null || value === undefined ? null : JSON.stringify(value)
}
