/** Constants of serving, from `data/serving.json`, each with its source there. */
import { shippedData } from '../shipped-data.js'
import type { PeakDtype, ServeFramework } from '../types.js'

interface Cited {
  readonly value: number
  readonly source: string
}

/** How a framework batches and what its host side costs. */
export interface ServePreset {
  /** Share of the memory taken, of the whole GPU or of what weights and workspace leave. */
  readonly memoryFraction: number
  readonly fractionOf: 'total' | 'free'
  /** Requests in flight at most, for each replica. */
  readonly maxRequests: number
  /** Tokens of a prefill chunk; `null` when prompts run whole. */
  readonly chunk: number | null
  /** Tokens of one forward pass at most: sizes the workspace. */
  readonly batchTokens: number
  /** Time of the host that is not hidden, for each pass and for each request in it. */
  readonly hostStepMs: number
  readonly hostRequestUs: number
  /** Whether a request holds memory for its whole length from the start, or as it grows. */
  readonly reserve: 'whole' | 'average'
  readonly source: string
}

export interface ServingConstants {
  readonly gemmShareOfPeak: { readonly values: Readonly<Record<PeakDtype, number>>; readonly source: string }
  readonly weightOnlyShare: Cited
  readonly attentionShareOfPeak: Cited
  readonly weightBandwidthShare: Cited
  readonly kvBandwidthShare: Cited
  readonly elementwiseBandwidthShare: Cited
  readonly kernelGapUs: Cited
  readonly allReduceShare: Cited
  readonly frameworks: Readonly<Record<ServeFramework, ServePreset>>
  /** Factors of 80 % intervals around p50. */
  readonly intervals: {
    readonly throughput: number
    readonly latency: number
    readonly otherHardware: number
    readonly otherFramework: number
    readonly experts: number
    readonly severalGpus: number
    readonly source: string
  }
}

let constants: ServingConstants | undefined

export function servingConstants(): ServingConstants {
  constants ??= shippedData('serving.json') as ServingConstants
  return constants
}
