/** The heat map of layouts: the fastest step of each tensor and pipeline size that fits. */
import { html, type Markup, nothing } from '../../core/page/html.js'
import { section } from '../../core/page/parts.js'
import type { MapCell } from './drawings.js'
import { figure, layoutText } from './figures.js'

export function layoutMap(cells: readonly MapCell[]): Markup {
  const tps = [...new Set(cells.map(({ tp }) => tp))].sort((a, b) => a - b)
  const pps = [...new Set(cells.map(({ pp }) => pp))].sort((a, b) => a - b)
  const times = cells.flatMap(({ stepS }) => (stepS === null ? [] : [stepS]))
  const fastest = Math.min(...times)
  const spread = Math.max(...times) - fastest
  const rows = pps.map(
    (pp) =>
      html`<span>pp ${pp}</span>${tps.map((tp) => {
          const cell = cells.find((one) => one.tp === tp && one.pp === pp)
          if (cell === undefined) return html`<div class="none" title="tp ${tp}, pp ${pp}: not possible"></div>`
          if (cell.stepS === null || cell.layout === null)
            return html`<div class="none" title="tp ${tp}, pp ${pp}: none fits">over</div>`
          const share = spread === 0 ? 1 : 1 - (cell.stepS - fastest) / spread
          return html`<div
            class="${cell.stepS === fastest ? 'best' : ''}"
            title="${layoutText(cell.layout)}: ${figure(cell.stepS)} s"
          >
            <i style="opacity:${(0.12 + share * 0.5).toFixed(3)}"></i><em>${figure(cell.stepS)}</em>
          </div>`
        })}`,
  )
  if (times.length === 0) return nothing
  return section(
    'Map of layouts',
    'Seconds of a step for the fastest layout that fits, by tensor and pipeline ranks; the stronger the colour, the faster. “over” does not fit in memory whatever else is chosen.',
    html`<div class="heat" style="grid-template-columns:max-content repeat(${tps.length}, minmax(4.2rem, 1fr))">
      <span></span>${tps.map((tp) => html`<span style="text-align:center">tp ${tp}</span>`)}${rows}
    </div>`,
  )
}
