/** What `stats` steps counted: documents by group, how long they are, and their most frequent n-grams. */
import { formatBytes, formatCount, formatPercent } from '../../core/units.js'
import { html, type Markup, nothing } from '../../core/page/html.js'
import { section, shareOf, table } from '../../core/page/parts.js'
import type { GroupStatistics, Statistics } from '../../kernels/stats.js'
import type { Metrics } from '../metrics.js'
import { bars, histogram } from './charts.js'

/** Rows of a table that are not folded away. */
const SHOWN_ROWS = 15
/** Groups whose lengths and n-grams are on the page; `stats/` has all. */
const DETAILED_GROUPS = 6
/** N-grams listed of each of them. */
const GROUP_NGRAMS = 10

/** All that `stats` steps counted, step by step. */
export function statistics({ statistics: all = [] }: Metrics): Markup {
  return html`${all.map((one) => html`${groups(one)}${pairs(one)}${lengths(one)}${ngrams(one)}`)}`
}

type OfStep = Statistics & { readonly step: string }

const valueOf = (column: string, value: string | null): Markup =>
  html`<span class="stage">${column}</span> <bdi>${value ?? ''}</bdi>`

function nameOf({ column, value, otherColumn, otherValue }: GroupStatistics): Markup {
  if (column === null) return html`all documents`
  if (otherColumn === undefined) return valueOf(column, value)
  return html`${valueOf(column, value)} ${valueOf(otherColumn, otherValue ?? null)}`
}

const isPair = ({ otherColumn }: GroupStatistics): boolean => otherColumn !== undefined

const textsOf = ({ rows, withoutText }: GroupStatistics): number => rows - withoutText

function totalOf({ lengths: all }: GroupStatistics, unit: GroupStatistics['lengths'][number]['unit']): number {
  return all.find((one) => one.unit === unit)?.total ?? 0
}

function groups({ step, groups: all, moreGroups, leftOut }: OfStep): Markup {
  const whole = all[0]?.rows ?? 0
  const rows = all
    .filter((group) => !isPair(group))
    .map((group) => ({
      cells: [nameOf(group), ...figuresOf(group, whole), group.column === null ? 0 : shareOf(group.rows, whole)],
      strong: group.column === null,
    }))
  const columns = [{ title: 'Group', kind: 'name' }, ...FIGURES, { title: '', kind: 'bar' }] as const
  const without = all[0]?.withoutText ?? 0
  const notes = [
    `The documents that came to the step ${step}.`,
    without > 0 ? ` ${formatCount(without)} of them have no text.` : '',
    moreGroups > 0 ? ` ${formatCount(moreGroups)} smaller groups are in the files alone.` : '',
    leftOut.length > 0 ? ` Too many values to group by: ${leftOut.join(', ')}.` : '',
  ]
  const note = html`${notes.join('')} All figures are in <code>stats/${step}/</code>.`
  return section(`Corpus at ${step}`, note, table(`Corpus at ${step}`, columns, rows, SHOWN_ROWS))
}

const FIGURES = [
  { title: 'Documents', kind: 'number' },
  { title: 'Share', kind: 'number' },
  { title: 'Text', kind: 'number' },
  { title: 'Mean characters', kind: 'number' },
  { title: 'Mean words', kind: 'number' },
] as const

const figuresOf = (group: GroupStatistics, whole: number): string[] => [
  formatCount(group.rows),
  formatPercent(shareOf(group.rows, whole), 2),
  formatBytes(totalOf(group, 'bytes')),
  formatCount(Math.round(shareOf(totalOf(group, 'characters'), textsOf(group)))),
  formatCount(Math.round(shareOf(totalOf(group, 'words'), textsOf(group)))),
]

/** A table for each two columns, the largest pairs first and the smaller ones folded away. */
function pairs({ step, groups: all, morePairs, leftOutPairs }: OfStep): Markup {
  const whole = all[0]?.rows ?? 0
  const nameOfBoth = ({ column, otherColumn }: GroupStatistics): string => `${column} and ${otherColumn}`
  const names = [...new Set(all.filter(isPair).map(nameOfBoth))]
  const tables = names.map((name) => {
    const own = all.filter((group) => isPair(group) && nameOfBoth(group) === name)
    const { column, otherColumn, rows: largest } = own[0]!
    const rows = own.map((pair) => ({
      cells: [
        html`<bdi>${pair.value ?? ''}</bdi>`,
        html`<bdi>${pair.otherValue ?? ''}</bdi>`,
        ...figuresOf(pair, whole),
        shareOf(pair.rows, largest),
      ],
    }))
    const columns = [
      { title: column ?? '', kind: 'name' },
      { title: otherColumn ?? '', kind: 'text' },
      ...FIGURES,
      { title: '', kind: 'bar' },
    ] as const
    return table(`Corpus at ${step} by ${name}`, columns, rows, SHOWN_ROWS)
  })
  const notes = [
    'Pairs with the most documents first.',
    morePairs > 0 ? ` ${formatCount(morePairs)} smaller ones are in the files alone.` : '',
    ...leftOutPairs.map((columns) => ` Too many pairs to group by: ${columns.join(' and ')}.`),
  ]
  if (tables.length === 0 && leftOutPairs.length === 0) return nothing
  const [first] = names
  const named = names.length === 1 ? first! : 'two columns'
  return section(`Corpus at ${step} by ${named}`, notes.join(''), html`${tables}`)
}

/** Histograms of all documents, and folded away those of the largest groups. */
function lengths({ step, groups: all }: OfStep): Markup {
  const [whole, ...rest] = all
  if (whole === undefined || textsOf(whole) === 0) return nothing
  const charts = (group: GroupStatistics, draw: typeof bars): Markup =>
    html`<div class="pair">
      ${group.lengths
        .filter(({ unit }) => unit !== 'bytes')
        .map(
          (one) =>
            html`<div>
              <h3>${nameOf(group)}, ${one.unit}</h3>
              ${draw(one)}
            </div>`,
        )}
    </div>`
  const note = 'Each column is twice as wide a range as the one before.'
  const groupCharts = byGroup(rest, (group) => charts(group, bars))
  return section(`Length of documents at ${step}`, note, html`${charts(whole, histogram)}${groupCharts}`)
}

function ngrams({ step, groups: all }: OfStep): Markup {
  const [whole, ...rest] = all
  if (whole === undefined || whole.ngrams.length === 0) return nothing
  const lists = (group: GroupStatistics, most: number): Markup =>
    html`<div class="pair">${group.ngrams.map((list) => ngramTable(group, list, most))}</div>`
  const note = 'Stretches of words, as they are written, and how often each occurs.'
  const groupLists = byGroup(rest, (group) => lists(group, GROUP_NGRAMS))
  return section(`Frequent n-grams at ${step}`, note, html`${lists(whole, Infinity)}${groupLists}`)
}

function ngramTable(group: GroupStatistics, list: GroupStatistics['ngrams'][number], listed: number): Markup {
  const { n, total, maxError, top } = list
  const most = top[0]?.[1] ?? 1
  const rows = top.slice(0, listed).map(([ngram, count]) => ({
    cells: [html`<bdi>${ngram}</bdi>`, formatCount(count), formatPercent(shareOf(count, total), 3), count / most],
  }))
  const columns = [
    { title: n === 1 ? 'Word' : `${n} words`, kind: 'name' },
    { title: 'Count', kind: 'number' },
    { title: 'Share', kind: 'number' },
    { title: '', kind: 'bar' },
  ] as const
  const bound = maxError === 0 ? 'Counts are exact.' : `Counts may be too low, by ${formatCount(maxError)} at most.`
  return html`<div>
    <h3>${nameOf(group)}</h3>
    <p class="note">${formatCount(total)} in all. ${bound}</p>
    ${table(n === 1 ? 'Frequent words' : `Frequent stretches of ${n} words`, columns, rows, SHOWN_ROWS)}
  </div>`
}

/** What is drawn of the largest groups, and of the largest pairs, each folded away. */
function byGroup(groupsOf: readonly GroupStatistics[], draw: (group: GroupStatistics) => Markup): Markup {
  const folded = (noun: 'group' | 'pair'): Markup => {
    const all = groupsOf.filter((group) => isPair(group) === (noun === 'pair'))
    if (all.length === 0) return nothing
    const shown = all.toSorted((a, b) => b.rows - a.rows).slice(0, DETAILED_GROUPS)
    return html`<details>
      <summary>${shown.length < all.length ? `The ${shown.length} largest ${noun}s` : `By ${noun}`}</summary>
      ${shown.map(draw)}
    </details>`
  }
  return html`${folded('group')}${folded('pair')}`
}
