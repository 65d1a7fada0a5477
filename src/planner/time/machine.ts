/**
 * What the time formulas see of a GPU: sustained rates instead of peaks.
 *
 * Peaks, bandwidths and links come from the hardware table; the shares of them that training reaches are the
 * fitted constants of `calibration.ts`. Nothing here is about models.
 */
import type { Cluster, Gpu, PeakDtype, Precision } from '../types.js'
import type { Architecture, ArchitectureShares, Calibration } from './calibration.js'

export interface Machine {
  readonly architecture: Architecture
  readonly computeUnits: number
  /** Operations a second of a large, well-shaped matrix product in the precision's format. */
  readonly gemmRate: number
  /** The same in the 16-bit (or 32-bit) format that attention, the router and the output projection use. */
  readonly wideRate: number
  /** Peak operations a second in the wide format: what attention's shares refer to. */
  readonly widePeak: number
  /** Peak operations a second outside the matrix units. */
  readonly vectorPeak: number
  /** Bytes a second that streaming kernels reach. */
  readonly memoryRate: number
  /** Seconds between the starts of two kernels when the host is the limit. */
  readonly launchS: number
  /** Bytes of one element in the wide format. */
  readonly wideBytes: number
}

/** Formats a chip falls back to when it lacks the one asked for. */
const FALLBACK: Readonly<Record<PeakDtype, readonly PeakDtype[]>> = {
  fp4: ['fp4', 'fp8', 'int8', 'bf16', 'fp16', 'fp32'],
  fp8: ['fp8', 'bf16', 'fp16', 'fp32'],
  int8: ['int8', 'bf16', 'fp16', 'fp32'],
  bf16: ['bf16', 'fp16', 'fp32'],
  fp16: ['fp16', 'bf16', 'fp32'],
  tf32: ['tf32', 'fp32'],
  fp32: ['fp32'],
}

/** The format matrix products run in. FP32 training uses TF32 where there is one, as every framework does. */
export function gemmFormat(precision: Precision): PeakDtype {
  switch (precision) {
    case 'nvfp4':
      return 'fp4'
    case 'fp8':
    case 'mxfp8':
      return 'fp8'
    case 'fp32':
      return 'tf32'
    case 'bf16':
    case 'fp16':
      return precision
  }
}

function wideFormat(precision: Precision): PeakDtype {
  return precision === 'fp32' || precision === 'fp16' ? gemmFormat(precision) : 'bf16'
}

/** Dense peak in TFLOP/s, with the format it was found under. */
export function peakOf(gpu: Gpu, format: PeakDtype): { readonly tflops: number; readonly format: PeakDtype } {
  for (const candidate of FALLBACK[format]) {
    const tflops = gpu.peakTflops[candidate]
    if (tflops !== undefined) return { tflops, format: candidate }
  }
  return { tflops: Math.max(...Object.values(gpu.peakTflops)), format }
}

export function machineOf(cluster: Cluster, precision: Precision, calibration: Calibration): Machine {
  const { gpu } = cluster
  const architecture = architectureOf(gpu)
  const ceilings = calibration.shares[architecture]
  const narrow = peakOf(gpu, gemmFormat(precision))
  const wide = peakOf(gpu, wideFormat(precision))
  return {
    architecture,
    computeUnits: gpu.computeUnits,
    gemmRate: narrow.tflops * 1e12 * shareOf(ceilings, narrow.format),
    wideRate: wide.tflops * 1e12 * shareOf(ceilings, wide.format),
    widePeak: wide.tflops * 1e12,
    vectorPeak: (gpu.peakTflops.fp32 ?? wide.tflops / 16) * 1e12,
    memoryRate: gpu.hbmGbs * 1e9 * calibration.memoryShare,
    launchS: calibration.launchUs * 1e-6,
    wideBytes: precision === 'fp32' ? 4 : 2,
  }
}

function shareOf(ceilings: ArchitectureShares, format: PeakDtype): number {
  if (format === 'fp4') return ceilings.fp4
  if (format === 'fp8' || format === 'int8') return ceilings.fp8
  return ceilings.wide
}

/** Names of the hardware table by generation; a user's own chip gets the cautious default. */
const GENERATIONS: readonly (readonly [RegExp, Architecture])[] = [
  [/^v100/i, 'volta'],
  [/^(a100|a10|a40|rtx ?30)/i, 'ampere'],
  [/^(l4|l40|rtx)/i, 'ada'],
  [/^(h100|h200|h800|h20|gh200)/i, 'hopper'],
  [/^(b300|gb300)/i, 'blackwell-ultra'],
  [/^(b100|b200|gb200)/i, 'blackwell'],
  [/^mi/i, 'cdna'],
  [/^tpu/i, 'tpu'],
]

export function architectureOf(gpu: Gpu): Architecture {
  return GENERATIONS.find(([name]) => name.test(gpu.name))?.[1] ?? 'other'
}
