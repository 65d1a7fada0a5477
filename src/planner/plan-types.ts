/**
 * What a plan answers, and what scoring makes of plans. Units are in the names, as in `types.ts`.
 */
import type { ParameterCounts, Layout } from './types.js'

/** An estimate with its 80 % interval. */
export interface Quantity {
  readonly p50: number
  readonly lo80: number
  readonly hi80: number
}

/** Where a field comes from: the formula in words or symbols, and the paper, table or source it follows. */
export interface Provenance {
  readonly field: string
  readonly formula: string
  readonly source: string
}

/** Something to do that changes a number of this plan. */
export interface Advice {
  readonly topic: string
  /** What to do. */
  readonly text: string
  /** The number it changes, from and to, in words: `device memory 91.2 → 74.5 GiB`. */
  readonly effect: string
  readonly source: string
}

/** Why a request cannot be planned, and what would work. */
export interface Refusal {
  readonly reason: string
  readonly suggestions: readonly string[]
}

export type PlanStatus = 'ok' | 'does-not-fit' | 'refused'

/** Floating-point operations of one step over the whole cluster. */
export interface FlopCounts {
  /** Forward and backward of the model, in the request's convention. */
  readonly modelPerStep: number
  /** Those and what is recomputed, in the same convention. */
  readonly hardwarePerStep: number
  /** In words, as in `causal=full, embeddings=on`. */
  readonly convention: string
}

/** Memory of one GPU of a pipeline stage, at that stage's peak. */
export interface StageMemory {
  readonly stage: number
  /** Parameters resident on one GPU of the stage, before sharding over data parallelism. */
  readonly params: number
  readonly weightsGiB: number
  readonly gradsGiB: number
  readonly optimizerGiB: number
  readonly activationsGiB: number
  readonly lossGiB: number
  readonly commGiB: number
  readonly workspaceGiB: number
  /** What the framework's tensors take: the sum of the above, at the peak. */
  readonly allocatedGiB: number
  /** What the caching allocator holds: allocated and fragmentation. */
  readonly reservedGiB: number
  /** What the driver reports: reserved, context, libraries and communication channels. */
  readonly deviceGiB: number
  /** When the peak occurs, as in `backward of the first micro-batch` or `optimizer step`. */
  readonly peakAt: string
}

export interface TrainMemory {
  readonly capacityGiB: number
  readonly fits: boolean
  /** The stage with the least room. */
  readonly worstStage: number
  readonly allocatedGiB: Quantity
  readonly reservedGiB: Quantity
  readonly deviceGiB: Quantity
  readonly stages: readonly StageMemory[]
}

/** Seconds of one step on the critical path; overlapped communication counts only what stays exposed. */
export interface TimeParts {
  readonly gemm: number
  readonly attention: number
  readonly elementwise: number
  readonly loss: number
  readonly tp: number
  readonly ppComm: number
  readonly bubble: number
  readonly dp: number
  readonly cp: number
  readonly ep: number
  readonly optimizer: number
  readonly offload: number
}

export interface TrainTime {
  readonly stepS: Quantity
  readonly parts: TimeParts
  readonly bubbleRate: number
}

export interface TrainThroughput {
  readonly tokensPerS: Quantity
  readonly tokensPerSPerGpu: Quantity
  readonly samplesPerSPerGpu: Quantity
  readonly modelTflopsPerGpu: Quantity
  readonly hardwareTflopsPerGpu: Quantity
  readonly mfu: Quantity
  readonly hfu: Quantity
  readonly peakTflops: number
}

export interface RankedLayout {
  readonly layout: Layout
  readonly stepS: Quantity
  readonly deviceGiB: Quantity
  readonly mfu: Quantity
  /** Why it ranks where it does. */
  readonly why: string
}

export interface SearchResult {
  /** Layouts priced by closed forms. */
  readonly considered: number
  /** At most five, best first, each simulated event by event. */
  readonly best: readonly RankedLayout[]
  readonly rejected: readonly { readonly layout: Partial<Layout>; readonly reason: string }[]
  readonly pareto: readonly { readonly layout: Layout; readonly stepS: number; readonly deviceGiB: number }[]
}

interface PlanHead {
  readonly id: string | null
  readonly status: PlanStatus
  readonly reason: string | null
  readonly suggestions: readonly string[]
  /** Absent when the request was refused. */
  readonly advice?: readonly Advice[]
}

/** What `inputs` shows: the resolved request as options, and which of them were assumed. */
export interface PlanInputs {
  readonly assumed: readonly string[]
  readonly [option: string]: unknown
}

export interface TrainResult {
  readonly params: ParameterCounts
  readonly flops: FlopCounts
  readonly time: TrainTime
  readonly throughput: TrainThroughput
  readonly memory: TrainMemory
  /** `null` unless `tokens` was given; the cost is `null` without a price. */
  readonly total: { readonly days: number; readonly gpuHours: number; readonly cost: number | null } | null
  /** 10⁶ bytes of token ids a second that the loader must deliver to the whole cluster. */
  readonly dataMBs: number
  readonly provenance: readonly Provenance[]
  readonly fittedOn: readonly string[]
  readonly warnings: readonly string[]
  readonly search?: SearchResult
}

/** The contract for programs; a refused request has no result fields. */
export type TrainPlan = PlanHead & {
  readonly schema: 'gristmill.plan.train/1'
  readonly inputs: PlanInputs
} & Partial<TrainResult>

export interface ServeMemory {
  readonly capacityGiB: number
  readonly fits: boolean
  readonly weightsGiB: number
  readonly kvBytesPerToken: number
  readonly kvCapacityTokens: number
  readonly workspaceGiB: number
  readonly maxConcurrency: number
  readonly maxContext: number
}

export interface ServeResult {
  readonly memory: ServeMemory
  readonly latency: {
    readonly prefillMs: Quantity
    readonly decodeMsPerToken: Quantity
    readonly ttftMs: Quantity
    readonly tpotMs: Quantity
    readonly requestMs: Quantity
  }
  readonly throughput: {
    readonly outputTokensPerS: Quantity
    readonly outputTokensPerSPerGpu: Quantity
    readonly totalTokensPerS: Quantity
    readonly requestsPerS: Quantity
    readonly concurrency: number
  }
  readonly bound: 'compute' | 'bandwidth' | 'kv' | 'communication'
  readonly curve: readonly {
    readonly concurrency: number
    readonly ttftMs: number
    readonly tpotMs: number
    readonly outputTokensPerS: number
  }[]
  /** `null` without a target. */
  readonly scaleOut: { readonly gpus: number; readonly p99Ms: number } | null
  readonly cost: { readonly perMTokens: number } | null
  readonly provenance: readonly Provenance[]
  readonly fittedOn: readonly string[]
  readonly warnings: readonly string[]
}

export type ServePlan = PlanHead & {
  readonly schema: 'gristmill.plan.serve/1'
  readonly inputs: PlanInputs
} & Partial<ServeResult>

// --- Scoring -------------------------------------------------------------------------------------------------

/** A measured run: fields are paths into a plan, as in `time.stepS` or `memory.reservedGiB`. */
export interface ScoreLine {
  readonly id: string
  readonly table: string
  readonly kind: 'train' | 'serve'
  /** Options as in a batch file. */
  readonly request: Readonly<Record<string, unknown>>
  readonly measured: Readonly<Record<string, number>>
  /** Whether the run fitted, where the table says so. */
  readonly fits?: boolean
}

export interface ScoreRow {
  readonly id: string
  readonly field: string
  readonly predicted: Quantity
  readonly measured: number
  /** (p50 − measured) / measured. */
  readonly error: number
  /** The measurement lies in the 80 % interval. */
  readonly inside: boolean
  /** The row's table was among those fitted on. */
  readonly fitted: boolean
}

export interface ScoreSummary {
  readonly n: number
  /** Of |error|. */
  readonly median: number
  readonly p90: number
  readonly worst: number
  /** Median of the signed error. */
  readonly signed: number
  /** Share of rows inside the interval. */
  readonly coverage: number
}
