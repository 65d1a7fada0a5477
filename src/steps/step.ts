/**
 * What a step is. Each step is one file beside this one; `index.ts` is the table of them.
 *
 * A step is prepared once, where the run is planned (files looked up, expressions typed), and opened in
 * each worker for each task. What `prepare` returns crosses to the workers, so it is plain data.
 */
import type { z } from 'zod'
import type { NativeEdits, NativeFinishedFile, NativeRemovedLog, NativeRoutedRows } from '../../native/index.js'
import type { Batch, Columns } from '../kernels/batch.js'
import type { MergedStats } from '../kernels/stats.js'

export interface PrepareContext {
  /** Columns that come in. */
  readonly columns: Columns
  /** Where relative paths in the configuration start: an absolute local folder. */
  readonly baseFolder: string
  /** The step's place for messages, as in `steps[2].filter`. */
  readonly place: string
  /** A few real rows as they come in, where there are any at planning; they stay the caller's. */
  readonly sample?: Batch | undefined
  /** A function of the user's pipeline module, by its index; missing where there is no module. */
  readonly userFunction?: ((index: number) => (...args: never[]) => unknown) | undefined
}

export interface Prepared<Payload> {
  /** Columns that go out. */
  readonly columns: Columns
  /** What the rows depend on besides the configuration, as plain JSON: hashes of files, token ids. Part of every task's name. */
  readonly identity: unknown
  /** What the user should know before the run: shown by `explain` and when the run starts. */
  readonly warnings?: readonly string[]
  /** Whether rows are routed: they stay on this machine, and so must the run. */
  readonly routes?: boolean
  /** What `open` needs; plain data. */
  readonly payload: Payload
}

export interface StepContext {
  /** Takes the records of removed rows. */
  readonly removed: NativeRemovedLog
  /** Takes the records of edits to rows that stay. */
  readonly edits: NativeEdits
  /** Takes rows whole, into a file of the step's own. */
  readonly routed: NativeRoutedRows
  /** The step's name in the records. */
  readonly step: string
  /** Parameters that were found in the data, as JSON; missing where the step is only tried out on a few rows. */
  readonly fitted?: string | undefined
  /** A function of the user's pipeline module, by its index. */
  userFunction(index: number): (...args: never[]) => unknown
}

/** A step at work in one task. */
export interface StepRunner extends Disposable {
  /** Rows so far whose result was taken over from an equal row before them; for the report. */
  readonly reusedRows?: number
  /**
   * Works on a batch in place; returns another one only when the rows are other rows (the caller disposes the
   * old). May be asynchronous: a user's function may wait.
   */
  run(batch: Batch): Batch | undefined | Promise<Batch | undefined>
  /** Writes what was gathered of the task's rows, for the step's `gather`; called once, after the last batch. */
  finish?(file: string): NativeFinishedFile
}

/** A rule of a step held against one row, for `gristmill why`. */
export interface Measured {
  readonly rule: string
  /** Null where there was nothing to measure. */
  readonly value: number | string | boolean | null
  readonly threshold?: number
  /** Whether the row passes; left out where the rule only measures. */
  readonly passes?: boolean
}

interface StepDocs<Config> {
  /** As in the pipeline file, as in `exact-dedup`. */
  readonly name: string
  /** One sentence for `gristmill steps`. */
  readonly summary: string
  /** A YAML list item, as in `- filter: "length(text) >= 64"`; parsed by a test. */
  readonly example: string
  /** Accepts the value in the pipeline file; every option carries `.describe(...)`. */
  readonly config: z.ZodType<Config>
  /**
   * What the step finds in texts is private: it never writes a match into records, and texts are shown or kept
   * only as the step leaves them with `action: mask`, which its configuration must know.
   */
  readonly private?: boolean
  /** Whether the step puts pieces of texts where records and reports are. */
  showsText?(config: Config): boolean
}

/** A step that sees one batch at a time. */
export interface MapStep<Config, Payload> extends StepDocs<Config> {
  readonly kind: 'map'
  prepare(config: Config, context: PrepareContext): Promise<Prepared<Payload>>
  open(payload: Payload, context: StepContext): StepRunner
  /**
   * What the step measures of a row, whether the row passes or not. The batch holds that row alone and is the
   * callee's to change. A step whose configuration knows `mode: annotate` needs none: its columns are shown.
   */
  measure?(payload: Payload, batch: Batch, context: StepContext): readonly Measured[]
  /**
   * Adds up what runners of all tasks gathered (`StepRunner.finish`), in the order of the tasks, into files
   * `<prefix><name>.parquet` of the run.
   */
  gather?(payload: Payload, files: readonly string[], prefix: string): Promise<MergedStats>
}

/** A step that needs the whole data; the engine carries it out by name (see `engine/plan.ts`). */
export interface GlobalStep<Config, Payload> extends StepDocs<Config> {
  readonly kind: 'global'
  prepare(config: Config, context: PrepareContext): Promise<Prepared<Payload>>
}

export type AnyStep = MapStep<unknown, unknown> | GlobalStep<unknown, unknown>

/** Types a map step's definition; the table holds it with its types erased. */
export function defineMapStep<Config, Payload>(step: Omit<MapStep<Config, Payload>, 'kind'>): MapStep<Config, Payload> {
  return { ...step, kind: 'map' }
}

export function defineGlobalStep<Config, Payload>(
  step: Omit<GlobalStep<Config, Payload>, 'kind'>,
): GlobalStep<Config, Payload> {
  return { ...step, kind: 'global' }
}
