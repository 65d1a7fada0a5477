/**
 * What a plan asks of the MinHash kernels; rows meet them at a boundary (`engine/spill-output.ts`).
 */
import { addon, native } from './native.js'

/** Bands of a signature and minima in each; undefined when there are too few permutations for the threshold. */
export function chooseBands(permutations: number, threshold: number): { bands: number; rows: number } | undefined {
  const bands = native(() => addon.chooseBands(permutations, threshold))
  return bands === null ? undefined : (JSON.parse(bands) as { bands: number; rows: number })
}

/** A text as `minhash-dedup` cuts it into shingles. */
export function simplifyText(text: string, normalize: 'datatrove' | 'none'): string {
  return native(() => addon.simplifyText(text, normalize))
}

/** What a near-duplicate deduplication takes besides what a run always takes; shingle sets come on top. */
export function estimateNearDuplicates(
  rows: number,
  { bands, partitions, workers }: { readonly bands: number; readonly partitions: number; readonly workers: number },
): { readonly memoryBytes: number; readonly diskBytes: number } {
  return native(() => addon.estimateNearDuplicates(rows, bands, partitions, workers))
}
