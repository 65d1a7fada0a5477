/** What only the page draws: the schedule as events, and the best step time of each tensor and pipeline size. */
import { checkLayout } from '../layout.js'
import { trainMemory } from '../memory.js'
import { candidates } from '../search/candidates.js'
import { shippedCalibration } from '../time/calibration.js'
import { type PipelineReplay, simulatePipeline } from '../time/pipeline-simulation.js'
import { type LayerPrices, stepTime } from '../time/step-time.js'
import type { Layout, TrainRequest } from '../types.js'

export interface MapCell {
  readonly tp: number
  readonly pp: number
  /** The fastest layout of this size that fits; `null` when none does. */
  readonly stepS: number | null
  readonly layout: Layout | null
}

export interface Drawings {
  readonly schedule?: PipelineReplay
  readonly map?: readonly MapCell[]
}

/** More stages or boxes in a lane than these make a picture nobody can read. */
const MOST_STAGES = 32
const MOST_BOXES = 160

/** `request` has the layout of the plan. Prices every layout again, so it takes as long as a search. */
export function drawingsOf(request: TrainRequest): Drawings {
  return { ...schedule(request), ...(request.search ? { map: layoutMap(request) } : {}) }
}

function schedule(request: TrainRequest): Drawings {
  const { layout } = request
  if (layout.pp === 1 || layout.pp > MOST_STAGES) return {}
  // The steady middle repeats itself, so fewer micro-batches show as much; whole rounds, for interleaved schedules.
  const boxes = 2 * layout.vpp * layout.pp
  const rounds = Math.max(2, Math.floor(MOST_BOXES / boxes))
  const shown = { ...layout, microBatches: Math.min(layout.microBatches, rounds * layout.pp) }
  return { schedule: simulatePipeline(stepTime(request, shown, shippedCalibration()).pipeline) }
}

function layoutMap(request: TrainRequest): MapCell[] {
  const prices: LayerPrices = new Map()
  const cells = new Map<string, { layout: Layout; stepS: number }[]>()
  for (const layout of candidates(request)) {
    if (checkLayout({ ...request, layout }) !== null) continue
    const key = `${layout.tp} ${layout.pp}`
    const { stepS } = stepTime(request, layout, shippedCalibration(), prices)
    const cell = cells.get(key)
    if (cell === undefined) cells.set(key, [{ layout, stepS }])
    else cell.push({ layout, stepS })
  }
  return [...cells.values()].map((entries) => {
    entries.sort((a, b) => a.stepS - b.stepS)
    const best = entries.find(({ layout }) => trainMemory({ ...request, layout }).fits)
    const { tp, pp } = entries[0]!.layout
    return { tp, pp, stepS: best?.stepS ?? null, layout: best?.layout ?? null }
  })
}
