/** Building blocks of pages: tables with bars, and the details that hold exact values. */
import { html, type Markup, nothing } from './html.js'

export interface Column {
  readonly title: string
  readonly kind: 'name' | 'text' | 'number' | 'bar'
}

export interface Row {
  /** Texts in the order of the columns; a bar's is its share of the longest, 0 to 1. */
  readonly cells: readonly (string | number | Markup)[]
  readonly strong?: boolean
}

/** A table; the first column heads its rows. Rows past `shown` are folded away. */
export function table(caption: string, columns: readonly Column[], rows: readonly Row[], shown = Infinity): Markup {
  const head = rows.slice(0, shown)
  const rest = rows.slice(shown)
  const folded =
    rest.length === 0
      ? nothing
      : html`<details>
          <summary>${rest.length} more</summary>
          ${bare(`${caption}, continued`, columns, rest)}
        </details>`
  return html`${bare(caption, columns, head)}${folded}`
}

function bare(caption: string, columns: readonly Column[], rows: readonly Row[]): Markup {
  return html`<div class="scroll">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${columns.map(heading)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr${row.strong === true ? html` class="strong"` : nothing}>${row.cells.map((cell, at) => dataCell(cell, columns[at], at))}</tr>
`,
        )}
      </tbody>
    </table>
  </div>`
}

function heading({ title, kind }: Column): Markup {
  if (kind === 'bar') return html`<td></td>`
  return html`<th scope="col" ${kind === 'number' ? html` class="n"` : nothing}>${title}</th>`
}

function dataCell(cell: string | number | Markup, column: Column | undefined, at: number): Markup {
  if (at === 0) return html`<th scope="row" class="name">${cell}</th>`
  switch (column?.kind) {
    case 'bar':
      return html`<td class="bar">
        ${Number(cell) > 0 ? html`<i style="width:${percent(Number(cell))}"></i>` : nothing}
      </td>`
    case 'number':
      return html`<td class="n">${cell}</td>`
    default:
      return html`<td>${cell}</td>`
  }
}

export interface BarPart {
  readonly name: string
  /** As a style sheet has it. */
  readonly colour: string
  /** Of the bar's length, 0 to 1. */
  readonly share: number
  /** What the part amounts to, in words. */
  readonly amount: string
}

/** A bar of parts side by side; a part of nothing is left out. */
export function stackedBar(label: string, parts: readonly BarPart[]): Markup {
  return html`<div class="stack" role="img" aria-label="${label}">
    ${parts
      .filter((part) => part.share > 0)
      .map(
        (part) =>
          html`<i
            style="width:${percent(part.share)};background:${part.colour}"
            title="${part.name}: ${part.amount}"
          ></i>`,
      )}
  </div>`
}

/** The name of a part of a bar, behind its colour. */
export function swatch({ name, colour }: Pick<BarPart, 'name' | 'colour'>): Markup {
  return html`<span class="swatch" style="background:${colour}"></span>${name}`
}

/** A CSS length of a share; tiny shares stay visible through the style sheet's least width. */
export function percent(share: number): string {
  return `${(Math.min(1, Math.max(0, Number.isFinite(share) ? share : 0)) * 100).toFixed(2)}%`
}

export function section(title: string, note: string | Markup, body: Markup, kind = ''): Markup {
  return html`<section${kind === '' ? nothing : html` class="${kind}"`}><h2>${title}</h2><p class="note">${note}</p>${body}</section>
`
}

/** `part / whole`, 0 when there is no whole. */
export function shareOf(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0
}
