/**
 * A pipeline as plain data: what the YAML reader and the TypeScript builder both produce and the engine
 * takes. Immutable; defaults are filled in.
 */
import type { ColumnType } from '../kernels/batch.js'

export interface SourceSpec {
  /** Undefined: told from the extensions of the inputs. */
  readonly format: string | undefined
  readonly paths: readonly string[]
  readonly text: string
  readonly id: string
  readonly columns: readonly string[] | undefined
  readonly types: Readonly<Record<string, ColumnType>>
  readonly where: string | undefined
  readonly onMissing: 'quarantine' | 'skip' | 'empty'
  readonly maxRecordBytes: number
  /** Share of the records that may be bad before the run ends with exit code 3, 0 to 1. */
  readonly maxBadShare: number
  /** Options of the format, as written. */
  readonly options: Readonly<Record<string, unknown>>
}

export interface StepSpec {
  readonly name: string
  /** Validated by the step's schema. */
  readonly config: unknown
  /** `off`: the step may remove nearly all rows of a source or a language; see `guard.ts`. */
  readonly guard?: 'off'
}

export interface SinkSpec {
  readonly format: string
  /** Validated by the sink's schema. */
  readonly options: Readonly<Record<string, unknown>>
}

export interface PipelineSpec {
  readonly name: string
  readonly source: SourceSpec
  readonly steps: readonly StepSpec[]
  readonly sink: SinkSpec
  /** `removed/` holds the texts of removed rows, too. Left out when false, so that a pipeline without it keeps its identity. */
  readonly keepRemovedText?: true
}

/** Marks a complete pipeline, also one that another copy of this package made. */
export const PIPELINE = Symbol.for('gristmill.pipeline')

/** Whether a value is a pipeline of the fluent interface. */
export function isPipeline(value: unknown): value is { readonly definition: PipelineDefinition } {
  return typeof value === 'object' && value !== null && PIPELINE in value
}

export type UserFunction = (...args: never[]) => unknown

/** A pipeline with what it needs to run: where its paths start, and the functions its steps refer to by index. */
export interface PipelineDefinition {
  readonly spec: PipelineSpec
  /** Absolute local folder that relative paths start from. */
  readonly baseFolder: string
  readonly functions: readonly UserFunction[]
  /** Module that defines the functions, for the workers; undefined for pipelines without functions. */
  readonly module: string | undefined
}
