/**
 * Seconds of a matrix product by its shape: tiles, waves, alignment, depth and memory.
 *
 * The sustained rate of large products is `Machine`'s. Shape only ever costs: a product that fills its tiles and
 * waves and is deep enough runs at that rate.
 */
import type { Machine } from './machine.js'

/** C[m,n] += A[m,k]·B[k,n], `groups` times side by side (experts, heads). */
export interface Gemm {
  readonly m: number
  readonly n: number
  readonly k: number
  readonly groups: number
}

/**
 * Output tiles of the libraries' kernels, with the share of the best rate they reach: a smaller tile reads more
 * from shared memory for each operation (NVIDIA, Matrix Multiplication Background User's Guide, section 4.1:
 * 256×128 the most efficient, 64×64 the least).
 */
const TILES: readonly (readonly [number, number, number])[] = [
  [256, 128, 1],
  [128, 256, 1],
  [128, 128, 0.95],
  [128, 64, 0.8],
  [64, 128, 0.8],
  [64, 64, 0.65],
]

/** Depth at which filling and draining the pipeline of a tile costs as much as the work: in units of k. */
const RAMP_DEPTH = 96

/** Least depth of a part when a product is split along it. */
const SPLIT_DEPTH = 1024

/**
 * Rows that are not a multiple of 16 bytes cannot use the widest loads. 272.73 against 395.5 TFLOP/s for a feed
 * forward width of 10922 against its aligned neighbours (Bekman, ML Engineering, "SwiGLU-based MLP"; the table is
 * that of one block, whose products all touch the odd width).
 */
const MISALIGNED = 0.69
/** Multiples of 16 bytes but not of 128: NVIDIA, ibid., section 3 ("tensor core requirements"). */
const HALF_ALIGNED = 0.98

export function gemmFlops(gemm: Gemm): number {
  return 2 * gemm.m * gemm.n * gemm.k * gemm.groups
}

export interface GemmFormat {
  /** Operations a second of a large product. */
  readonly rate: number
  /** Bytes of an element of A and B. */
  readonly bytes: number
}

export function gemmSeconds(gemm: Gemm, format: GemmFormat, machine: Machine): number {
  const flops = gemmFlops(gemm)
  if (flops === 0) return 0
  const ramp = 1 + RAMP_DEPTH / gemm.k
  const compute = (flops / format.rate) * quantisation(gemm, machine.computeUnits) * ramp
  const operands = gemm.groups * (gemm.m + gemm.n) * gemm.k * format.bytes
  const results = gemm.groups * gemm.m * gemm.n * 2
  const memory = (operands + results) / machine.memoryRate
  return Math.max(compute / alignment(gemm, format.bytes), memory)
}

/**
 * Work done over work asked for, with the best tile: partly filled tiles, and partly filled waves of tiles over
 * the compute units (ibid., sections 4.1 and 4.2). A product of less than a wave is split along its depth where it
 * is deep. Persistent kernels let the next product start in the last wave, hence half the loss only.
 */
function quantisation({ m, n, k, groups }: Gemm, units: number): number {
  let best = Number.POSITIVE_INFINITY
  for (const [tileM, tileN, share] of TILES) {
    const tilesOfOne = Math.ceil(m / tileM) * Math.ceil(n / tileN)
    const filled = (m * n) / (tilesOfOne * tileM * tileN)
    const tiles = tilesOfOne * groups
    const waves = (tiles < units ? tiles * Math.min(splits(k), Math.floor(units / tiles)) : tiles) / units
    const cost = (waves < 1 ? 1 : (Math.ceil(waves) + waves) / 2) / (waves * filled * share)
    if (cost < best) best = cost
  }
  return best
}

/** Parts along the depth that still leave each tile something to do. */
function splits(k: number): number {
  return Math.max(1, Math.floor(k / SPLIT_DEPTH))
}

function alignment({ n, k }: Gemm, bytes: number): number {
  const worst = (width: number): number => {
    const row = width * bytes
    if (row % 16 !== 0) return MISALIGNED
    return row % 128 === 0 ? 1 : HALF_ALIGNED
  }
  return Math.min(worst(n), worst(k))
}
