/**
 * Pipeline schedules in closed form: how long the pipeline of a training step takes and how much of it is idle.
 *
 * The search uses these for thousands of layouts. `pipeline-simulation.ts` replays the same schedules event by
 * event. Nothing here knows of models or hardware: durations come in, seconds go out.
 */

export type PipelineSchedule = 'gpipe' | '1f1b' | 'interleaved' | 'zb-h1' | 'zb-h2' | 'zb-1p' | 'zb-2p'

/** Seconds of one micro-batch on one rank, all of its virtual stages together. */
export interface StageSeconds {
  readonly forward: number
  /** Gradient with respect to the input, with recomputation if there is any. */
  readonly backwardInput: number
  /** Gradient with respect to the weights; only the zero-bubble schedules move it. */
  readonly backwardWeight: number
}

export interface PipelineShape {
  readonly schedule: PipelineSchedule
  readonly stages: readonly StageSeconds[]
  /** Virtual stages (model chunks) a rank holds; 1 unless the schedule is interleaved. */
  readonly virtual: number
  readonly microBatches: number
  /** Seconds to hand one micro-batch's activations to the next stage. */
  readonly transfer: number
}

export interface PipelineTime {
  readonly total: number
  /** Compute of the busiest rank: what a pipeline without bubbles would need. */
  readonly busy: number
  /** Seconds the busiest rank idles because of the schedule. */
  readonly bubble: number
  /** Seconds it idles because of hand-overs that nothing hides. */
  readonly transfer: number
}

/** Number of hand-overs on the critical path, and the idle time in units of the other ranks' work. */
interface Idle {
  readonly bubble: number
  readonly handOvers: number
}

/**
 * Length of the pipeline.
 *
 * With equal stages and p ranks, m micro-batches, v virtual stages and durations F, B, W of one micro-batch:
 *
 * | schedule | bubble | hand-overs |
 * |---|---|---|
 * | GPipe | (p−1)(F+B+W) | 2(p−1) |
 * | 1F1B | (p−1)(F+B+W) | 2(p−1) + 2m: one rank's slack is another's wait |
 * | interleaved | (p−1)(F+B+W)/v | 2v(p−1) |
 * | ZB-H1, ZB-1p | (p−1)(F+B−W) | 4(p−1) |
 * | ZB-H2 | (p−1)(F+B−2W) | 2(p−1) |
 * | ZB-2p | 0 | p−1 |
 *
 * GPipe, 1F1B, interleaved: Narayanan et al. 2021, arXiv:2104.04473, section 2.2. Zero bubble: Qi et al. 2024,
 * arXiv:2401.10241, section 2.3; ZB-1p equals ZB-H1 throughout their table 5. The hand-overs are read off the
 * dependency graph; table 5 confirms them. Uneven stages take the sum of all ranks but the busiest for (p−1) ranks.
 */
export function pipelineTime(shape: PipelineShape): PipelineTime {
  const { stages, microBatches } = shape
  const lengths = stages.map((s) => s.forward + s.backwardInput + s.backwardWeight)
  const longest = Math.max(...lengths)
  const busy = microBatches * longest
  if (stages.length === 1) return { total: busy, busy, bubble: 0, transfer: 0 }
  const idle = idleOf(shape, lengths.reduce((sum, length) => sum + length, 0) - longest)
  const transfer = idle.handOvers * shape.transfer
  return { total: busy + idle.bubble + transfer, busy, bubble: idle.bubble, transfer }
}

function idleOf(shape: PipelineShape, others: number): Idle {
  const { schedule, stages, virtual, microBatches } = shape
  const gaps = stages.length - 1
  const work = stages.reduce((sum, s) => sum + s.forward + s.backwardInput + s.backwardWeight, 0)
  const weight = (others * stages.reduce((sum, s) => sum + s.backwardWeight, 0)) / work
  switch (schedule) {
    case 'gpipe':
      return { bubble: others, handOvers: 2 * gaps }
    case '1f1b':
      return { bubble: others, handOvers: 2 * (gaps + microBatches) }
    case 'interleaved':
      return { bubble: others / virtual, handOvers: 2 * virtual * gaps }
    case 'zb-h1':
    case 'zb-1p':
      return { bubble: Math.max(0, others - 2 * weight), handOvers: 4 * gaps }
    case 'zb-h2':
      return { bubble: Math.max(0, others - 3 * weight), handOvers: 2 * gaps }
    case 'zb-2p':
      return { bubble: 0, handOvers: gaps }
  }
}
