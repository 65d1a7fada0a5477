/**
 * The fitted constants of the time model: few, each with a physical meaning, all in one data file.
 *
 * The file is `../data/calibration.json`. How the constants were found, and the priors that hold them where tables
 * say little, is `../score/fit.ts`.
 */
import { shippedData } from '../shipped-data.js'
import type { TrainFramework } from '../types.js'

export type Architecture =
  | 'volta'
  | 'ampere'
  | 'ada'
  | 'hopper'
  | 'blackwell'
  | 'blackwell-ultra'
  | 'cdna'
  | 'tpu'
  | 'other'

export interface ArchitectureShares {
  /** Share of the dense peak that large products sustain in training, in 16 bits (32 for FP32). */
  readonly wide: number
  readonly fp8: number
  readonly fp4: number
  /** Share of the 16-bit peak that flash kernels with heads of 128 sustain, by kernel. */
  readonly flash: Readonly<Record<FlashKernel, number>>
}

/**
 * `first`: FlashAttention and its Triton twin, to mid 2023. `portable`: FlashAttention-2, which PyTorch ships.
 * `current`: the vendor's newest (cuDNN, FlashAttention-3).
 */
export type FlashKernel = 'first' | 'portable' | 'current'

export interface FrameworkConstants {
  /** Compute and exposed communication are stretched by this: stragglers, host gaps, interference of collectives. */
  readonly stretch: number
  /** Share of the links' rate that gathering and reducing sharded weights reaches (ZeRO-3, FSDP). */
  readonly gather: number
}

export interface Calibration {
  readonly shares: Readonly<Record<Architecture, ArchitectureShares>>
  /** Share of the HBM bandwidth that streaming kernels reach. */
  readonly memoryShare: number
  /** Shares of the links' bandwidth that collectives reach. */
  readonly linkShare: { readonly inside: number; readonly outside: number }
  /** Loss of rate for each doubling of the nodes a collective spans. */
  readonly contention: number
  /** Microseconds between kernel starts when the host is the limit. */
  readonly launchUs: number
  /** Share of the possible hiding that overlapped communication really gets. */
  readonly overlapShare: number
  readonly framework: Readonly<Record<TrainFramework, FrameworkConstants>>
  readonly experts: {
    /** Traffic of routing, permutation and padding over what the tensors alone move: fused kernels, and before. */
    readonly traffic: { readonly fused: number; readonly unfused: number }
    /** Milliseconds the host needs for an expert layer's forward pass without graphs: synchronisation, launches. */
    readonly hostMs: number
  }
  /** Seconds a step beside the model: data, logging, synchronisation. */
  readonly fixedS: number
  /** Half widths of the 80 % intervals of time, as natural logarithms of the ratio. */
  readonly interval: {
    readonly dense: number
    readonly experts: number
    readonly longContext: number
    readonly unseen: number
  }
  readonly fittedOn: readonly string[]
}

let shipped: Calibration | undefined

/** The constants that come with the planner. */
export function shippedCalibration(): Calibration {
  shipped ??= shippedData('calibration.json') as Calibration
  return shipped
}
