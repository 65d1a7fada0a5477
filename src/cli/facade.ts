/** What the commands need of the public façade, loaded when a command asks for it. */
import type { Manifest } from '../engine/manifest.js'
import type { Metrics, RunEvent } from '../observe/metrics.js'

export interface Explanation {
  readonly name: string
  readonly inputs: { readonly files: number; readonly bytes: number; readonly decodedBytes: number }
  readonly workers: number
  readonly memory: { readonly budgetBytes: number; readonly minimumBytes: number; readonly expectedBytes: number }
  readonly disk: { readonly peakScratchBytes: number; readonly outputBytes: number; readonly freeBytes: number }
  readonly seconds: { readonly estimate: number }
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly stages: readonly {
    readonly name: string
    readonly tasks: number | string
    readonly steps: readonly { readonly name: string; readonly summary: string }[]
    readonly reads: string
    readonly writes: string
  }[]
  readonly warnings: readonly string[]
}

export interface RunResult {
  readonly exitCode: 0 | 3
  readonly metrics: Metrics
  readonly manifest: Manifest
  readonly out: string
}

export interface ResourceOptions {
  readonly out?: string
  readonly workers?: number
  readonly memoryBytes?: number
  readonly scratch?: string
}

export interface Facade {
  loadPipeline(file: string, sets: Readonly<Record<string, string>>): Promise<unknown>
  runPipeline(
    pipeline: unknown,
    options: ResourceOptions & {
      readonly out: string
      readonly baseFolder: string
      readonly signal: AbortSignal
      onEvent(event: RunEvent): void
    },
  ): Promise<RunResult>
  explainPipeline(pipeline: unknown, options: ResourceOptions & { readonly baseFolder: string }): Promise<Explanation>
}

export async function facade(): Promise<Facade> {
  const path = '../index.js'
  return (await import(path)) as Facade
}
