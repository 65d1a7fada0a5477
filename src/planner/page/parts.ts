/** Parts of the page that training and serving share: head, tiles, stacked bars, inputs, sources. */
import { html, type Markup, nothing } from '../../core/page/html.js'
import { percent, section, shareOf, table } from '../../core/page/parts.js'
import type { ServePlan, TrainPlan } from '../types.js'

type Plan = TrainPlan | ServePlan

export function head(plan: Plan, what: string): Markup {
  const { model, gpus } = plan.inputs
  const verdict =
    plan.status === 'ok'
      ? nothing
      : html`<section class="alert">
          <p class="over">Does not fit: ${plan.reason ?? ''}</p>
          ${plan.suggestions.length === 0 ? nothing : html`<p>Try ${plan.suggestions.join(', or ')}.</p>`}
        </section>`
  return html`<header>
      <h1>${String(model)}</h1>
      <p class="soft">${what} on ${String(gpus)}</p>
    </header>
    ${verdict}`
}

export interface Tile {
  readonly title: string
  readonly value: string
  readonly note?: string
}

export function tiles(list: readonly Tile[]): Markup {
  return html`<dl class="tiles">
    ${list.map(
      ({ title, value, note }) =>
        html`<div class="tile">
          <dt>${title}</dt>
          <dd>${value}${note === undefined ? nothing : html`<small>${note}</small>`}</dd>
        </div>`,
    )}
  </dl>`
}

/** A colour of the style sheet, by its number or name, with what it stands for. */
export interface Swatch {
  readonly colour: string
  readonly name: string
}

export interface Bar {
  readonly name: string
  /** One length for each swatch. */
  readonly lengths: readonly number[]
  readonly label: string
  readonly over?: boolean
}

/** Stacked bars under one legend; `limit` is drawn across each. */
export function stackedBars(swatches: readonly Swatch[], bars: readonly Bar[], limit?: number): Markup {
  const longest = Math.max(limit ?? 0, ...bars.map(({ lengths }) => lengths.reduce((sum, one) => sum + one, 0)))
  const used = swatches.map((_, at) => bars.some(({ lengths }) => (lengths[at] ?? 0) > longest / 1000))
  const legend = swatches.map((swatch, at) =>
    used[at] === true
      ? html`<span><i class="swatch" style="background:var(--${swatch.colour})"></i>${swatch.name}</span>`
      : nothing,
  )
  const rows = bars.map(
    ({ name, lengths, label, over = false }) =>
      html`<span>${name}</span>
        <div class="track">
          ${lengths.map((length, at) =>
            length > 0
              ? html`<i
                  style="width:${percent(shareOf(length, longest))};background:var(--${swatches[at]?.colour ?? 'quiet'})"
                  title="${swatches[at]?.name ?? ''}: ${length.toFixed(2)}"
                ></i>`
              : nothing,
          )}${limit === undefined ? nothing : html`<b style="left:${percent(shareOf(limit, longest))}"></b>`}
        </div>
        <span class="${over ? 'n over' : 'n'}">${label}</span>`,
  )
  return html`<div class="legend">${legend}</div>
    <div class="bars">${rows}</div>`
}

/** What was asked, what was assumed, where the numbers come from. */
export function background(plan: Plan): Markup {
  const { assumed, ...inputs } = plan.inputs
  const shown = Object.entries(inputs).filter(([, value]) => value !== null && value !== undefined)
  const rows = (plan.provenance ?? []).map(({ field, formula, source }) => ({ cells: [field, formula, source] }))
  const warnings = plan.warnings ?? []
  return html`${
    warnings.length === 0
      ? nothing
      : section(
          'Notes',
          '',
          html`<ul class="advice">
            ${warnings.map((warning) => html`<li>${warning}</li>`)}
          </ul>`,
        )
  }${section(
    'Inputs',
    assumed.length === 0 ? 'All were given.' : `Assumed, since they were not given: ${assumed.join(', ')}.`,
    html`<dl class="inputs">
      ${shown.map(
        ([name, value]) =>
          html`<div>
            <dt>${name}</dt>
            <dd>${written(value)}</dd>
          </div>`,
      )}
    </dl>`,
  )}${section(
    'Where the numbers come from',
    'The formula of each number and what it follows.',
    table(
      'Sources',
      [
        { title: 'Number', kind: 'name' },
        { title: 'Formula', kind: 'text' },
        { title: 'Source', kind: 'text' },
      ],
      rows,
      6,
    ),
    'long',
  )}`
}

function written(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.join(', ')
  if (typeof value === 'boolean') return value ? 'on' : 'off'
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value)
      .filter(([, inner]) => inner !== null)
      .map(([key, inner]) => `${key}=${String(inner)}`)
      .join(', ')
  }
  return String(value)
}

export function advice(plan: Plan): Markup {
  const items = plan.advice ?? []
  if (items.length === 0) return nothing
  return section(
    'Advice',
    'Each item applies to this request; the number it changes is in bold.',
    html`<ul class="advice">
      ${items.map(({ text, effect, source }) => html`<li>${text}: <strong>${effect}</strong> <small>${source}</small></li>`)}
    </ul>`,
  )
}
