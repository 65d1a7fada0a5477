/**
 * Running and explaining a pipeline with the machine's defaults filled in.
 */
import { GristmillError } from '../core/errors.js'
import { machine } from '../core/machine.js'
import { VERSION } from '../core/version.js'
import { type Explanation, explain } from '../engine/explain.js'
import type { PipelineDefinition } from '../engine/pipeline.js'
import { executeRun, type RunResult } from '../engine/run.js'
import type { RunEvent } from '../observe/metrics.js'
import { registry } from '../registry.js'
import { offerToWorker, signatureOf } from './module.js'

export interface ExplainOptions {
  /** Threads that work on tasks; the cores granted when left out. */
  readonly workers?: number
  /** Ceiling of the process's memory; 70 % of what is granted when left out. */
  readonly memoryBytes?: number
  /** Local folder for scratch files; inside the run directory when left out. */
  readonly scratch?: string
  readonly out?: string
}

export interface RunPipelineOptions extends ExplainOptions {
  /** Folder or `s3://bucket/prefix` of the run directory. */
  readonly out: string
  /** Stops the run at the next batch; what is committed stays. */
  readonly signal?: AbortSignal
  readonly onEvent?: (event: RunEvent) => void
  /**
   * Goes on where the guard would stop the run: `STEP` or `STEP:VALUE`, as in `filter:zh`, may remove nearly all
   * rows of a source or a language.
   */
  readonly allow?: readonly string[]
}

/** Runs a pipeline; throws GM_INTERRUPTED after an abort, when the run can be resumed. */
export async function runPipeline(definition: PipelineDefinition, options: RunPipelineOptions): Promise<RunResult> {
  // In a worker this call only hands the functions over; the program must not go on from here.
  if (offerToWorker(definition)) return new Promise(() => {})
  const { workers, memoryBytes } = resources(options)
  return executeRun(definition, registry, {
    out: options.out,
    workers,
    memoryBytes,
    scratch: options.scratch,
    signal: options.signal,
    onEvent: options.onEvent,
    allow: options.allow,
    version: VERSION,
    signature: signatureOf(definition.spec, definition.functions.length),
    renderReport: async (metrics) => (await import('../observe/report.js')).renderReport(metrics),
  })
}

/** What a run would do and take; reads a sample of the input and writes nothing. */
export async function explainPipeline(
  definition: PipelineDefinition,
  options: ExplainOptions = {},
): Promise<Explanation> {
  return explain(definition, registry, { ...options, ...resources(options) })
}

/** Workers and memory, with the machine's where nothing is said. */
export function resources(options: ExplainOptions): { workers: number; memoryBytes: number } {
  const granted = machine()
  const workers = options.workers ?? granted.cores
  if (!Number.isInteger(workers) || workers < 1) {
    throw new GristmillError('GM_USAGE', `workers must be a whole number from 1, but is ${workers}`)
  }
  return { workers, memoryBytes: options.memoryBytes ?? granted.memoryBudgetBytes }
}
