/**
 * How many micro-batches' activations a pipeline stage holds at its peak, by schedule.
 *
 * GPipe keeps all (Huang et al. 2019, arXiv:1811.06965, §2.3). 1F1B keeps p − s on stage s, interleaved 1F1B
 * 2(p − s − 1) + (v − 1)p + 1 chunks (Narayanan et al. 2021, arXiv:2104.04473, §2.2; `num_warmup_microbatches` in
 * megatron/core/pipeline_parallel/schedules.py, and one more in flight). Zero-bubble schedules fill every stage up to
 * their memory limit: p for ZB-H1 and ZB-1p, 2p − 1 for ZB-H2 and ZB-2p (Qi et al. 2024, arXiv:2401.10241, §2.2, §3).
 */
import type { Layout } from './types.js'

/** For each chunk of stage `stage`, the micro-batches it holds at the stage's peak. */
export function inFlight(
  layout: Pick<Layout, 'pp' | 'vpp' | 'schedule' | 'microBatches'>,
  stage: number,
): readonly number[] {
  const { pp, vpp, schedule, microBatches } = layout
  if (pp === 1) return Array<number>(vpp).fill(1)
  if (schedule !== 'interleaved' || vpp === 1)
    return Array<number>(vpp).fill(Math.min(microBatches, limit(layout, stage)))
  const chunks = Math.min(microBatches * vpp, 2 * (pp - stage - 1) + (vpp - 1) * pp + 1)
  // Micro-batches run in groups of pp, each group through one chunk after the other.
  const held = Array<number>(vpp).fill(0)
  let left = chunks
  for (let done = 0; left > 0; done += pp) {
    const group = Math.min(pp, microBatches - done)
    for (let chunk = 0; chunk < vpp && left > 0; chunk++) {
      const run = Math.min(group, left)
      held[chunk]! += run
      left -= run
    }
  }
  return held
}

function limit(
  { pp, schedule, microBatches }: Pick<Layout, 'pp' | 'schedule' | 'microBatches'>,
  stage: number,
): number {
  switch (schedule) {
    case 'gpipe':
      return microBatches
    case '1f1b':
    case 'interleaved':
      return pp - stage
    case 'zb-h1':
    case 'zb-1p':
      return pp
    case 'zb-h2':
    case 'zb-2p':
      return 2 * pp - 1
  }
}
