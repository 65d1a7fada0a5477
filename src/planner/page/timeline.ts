/** The pipeline schedule as a picture: one lane a stage, one box a pass of a micro-batch. */
import { html, type Markup, nothing } from '../../core/page/html.js'
import { section } from '../../core/page/parts.js'
import type { PipelineReplay } from '../time/pipeline-simulation.js'
import type { TrainPlan } from '../types.js'
import { figure, percent } from './figures.js'

const WIDTH = 1000
const LANE = 22
const LABEL = 34
/** A box as narrow as this has no room for its number. */
const LEAST_LABEL = 16

export function timeline({ total, ranks }: PipelineReplay, plan: TrainPlan): Markup {
  const start = Math.min(...ranks.map((events) => events[0]?.start ?? 0))
  const end = Math.max(...ranks.map((events) => events.at(-1)?.end ?? 0))
  const x = (second: number): number => LABEL + ((second - start) / (end - start)) * (WIDTH - LABEL)
  const height = ranks.length * LANE
  const weights = ranks.some((events) => events.some(({ pass }) => pass === 'W'))
  const lanes = ranks.map((events, rank) => {
    const y = rank * LANE
    const boxes = events.map(({ pass, microBatch, start: from, end: to }) => {
      const width = x(to) - x(from)
      const label =
        width < LEAST_LABEL
          ? nothing
          : html`<text
              x="${(x(from) + width / 2).toFixed(1)}"
              y="${y + 15}"
              text-anchor="middle"
              style="fill:var(--card)"
              >${microBatch + 1}</text
            >`
      return html`<rect
          class="${pass.toLowerCase()}"
          x="${x(from).toFixed(2)}"
          y="${y + 2}"
          width="${Math.max(0.5, width - 0.6).toFixed(2)}"
          height="${LANE - 5}"
        />${label}`
    })
    return html`<text x="0" y="${y + 15}">${rank}</text
      ><rect class="idle" x="${LABEL}" y="${y + 2}" width="${WIDTH - LABEL}" height="${LANE - 5}" />${boxes}`
  })
  const name = String(plan.inputs['schedule'])
  const drawn = new Set(ranks[0]?.map(({ microBatch }) => microBatch)).size
  const all = Number(plan.inputs['gradAccum'])
  return section(
    'Schedule',
    `${name} on ${ranks.length} stages: ${percent(plan.time?.bubbleRate ?? 0)} of the time idle with ${all} micro-batches.${drawn < all ? ` Drawn are ${drawn} of them, ${figure(total)} s; more repeat the middle.` : ''}`,
    html`<div class="legend">
        <span><i class="swatch" style="background:var(--s2)"></i>forward</span
        ><span><i class="swatch" style="background:var(--s1)"></i>backward${weights ? ', inputs' : ''}</span
        >${weights ? html`<span><i class="swatch" style="background:var(--s4)"></i>backward, weights</span>` : nothing}<span
          ><i class="swatch" style="background:var(--idle)"></i>idle</span
        >
      </div>
      <div class="scroll">
        <svg
          class="timeline"
          viewBox="0 0 ${WIDTH} ${height}"
          role="img"
          aria-label="Timeline of the ${name} schedule on ${ranks.length} stages"
        >
          ${lanes}
        </svg>
      </div>`,
  )
}
