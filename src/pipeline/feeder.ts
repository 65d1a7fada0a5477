/** Feeding a trainer from a pipeline file, with the machine's defaults filled in. */
import { type FeederOptions, runFeeder } from '../engine/feeder.js'
import type { PipelineDefinition } from '../engine/pipeline.js'
import { registry } from '../registry.js'
import { type Overrides, loadPipeline } from './file.js'
import { signatureOf } from './module.js'
import { type ExplainOptions, resources } from './run.js'

export interface ServeOptions extends Pick<ExplainOptions, 'workers' | 'memoryBytes'>, Pick<FeederOptions, 'cache'> {
  /** Descriptor of the socket to the loader. */
  readonly socket: number
  readonly sequenceLength?: number
  /** Bytes of text that a task has, about. */
  readonly taskBytes: number
  /** Values of the pipeline file that are changed. */
  readonly set?: Overrides
}

/** Feeds the loader at the other end of the socket from a pipeline file; never returns. */
export async function serveFeed(file: string, { set, ...options }: ServeOptions): Promise<void> {
  const { workers, memoryBytes } = resources(options)
  const complete = ({ spec, functions }: PipelineDefinition) => ({
    ...options,
    workers,
    memoryBytes,
    signature: signatureOf(spec, functions.length),
  })
  await runFeeder(() => loadPipeline(file, set), registry, complete, options.socket)
}
