/** The life of a row, drawn: its steps with what they measured, and its text beside the kept one's. */
import { formatCount } from '../core/units.js'
import type { RowLife, ShownRow } from '../observe/why/why.js'
import type { ReplayedStep } from '../observe/why/replay.js'
import { printable } from './inspection.js'
import type { Paint } from './paint.js'
import { displayWidth, renderColumns } from './table.js'

/** Lines of a text that are shown. */
const SHOWN_LINES = 24
/** Columns of the output where it is no terminal, and the least and most a text gets. */
const WIDTH = 120
const COLUMN = { least: 30, most: 100 } as const

type Measured = ReplayedStep['measured'][number]

export function renderLives(lives: readonly RowLife[], paint: Paint): string {
  const count = lives.length > 1 ? [`${formatCount(lives.length)} rows have this id.`, ''] : []
  return [...count, lives.map((life) => renderLife(life, paint)).join('\n\n')].join('\n')
}

function renderLife(life: RowLife, paint: Paint): string {
  const lines = [
    `${paint.bold(printable(life.id))} ${paint.dim(`${life.file}:${life.position}`)} ${outcome(life, paint)}`,
  ]
  if (life.steps.length > 0)
    lines.push(
      '',
      renderColumns(
        life.steps.flatMap((step) => stepRows(step, paint)),
        ['left', 'left', 'left'],
      ),
    )
  for (const note of life.notes) lines.push('', `${paint.warn('note')}: ${printable(note)}`)
  if (life.keeper) lines.push('', renderPair(life, life.keeper, paint))
  else if (life.text !== undefined) lines.push('', renderText(life.text, paint))
  return lines.join('\n')
}

function outcome({ outcome: end, removed, routed, shard, quarantined }: RowLife, paint: Paint): string {
  switch (end) {
    case 'removed':
      return paint.bad(`removed by ${removed?.step}: ${removed?.rule}`)
    case 'routed':
      return paint.warn(`routed by ${routed?.step}: ${routed?.rule}, to ${routed?.file}`)
    case 'kept':
      return `kept${shard ? `, row ${formatCount(shard.row)} of ${shard.file}${shard.tokens === undefined ? '' : `, ${formatCount(shard.tokens)} tokens`}` : ''}`
    case 'quarantined':
      return paint.bad(`quarantined: ${quarantined?.code}, ${printable(quarantined?.reason ?? '')}`)
    case 'left out':
      return paint.warn('in no output')
  }
}

/** A line a step, one a measured value below it, one an edit. */
function stepRows({ step, outcome: end, measured, edits, textBytes, note }: ReplayedStep, paint: Paint): string[][] {
  const changed = textBytes ? `text ${formatCount(textBytes.before)} → ${formatCount(textBytes.after)} bytes` : ''
  const said = [changed, note ?? ''].filter((text) => text !== '').join(', ')
  const verdict = end === 'removed' || end === 'routed' ? paint.bad(end) : end === 'not played' ? paint.warn(end) : end
  return [
    [paint.accent(step), verdict, printable(said)],
    ...measured.map((one) => ['', '', measurement(one, paint)]),
    ...edits.map(({ rule, count, bytes }) => [
      '',
      '',
      `${printable(rule)}: ${formatCount(count)} times, ${formatCount(bytes)} bytes`,
    ]),
  ]
}

function measurement({ rule, value, threshold, passes }: Measured, paint: Paint): string {
  const shown =
    value === null ? 'nothing to measure' : typeof value === 'number' ? number(value) : printable(String(value))
  const against = threshold === undefined ? '' : `, threshold ${number(threshold)}`
  const text =
    typeof value === 'boolean' || (value === null && passes !== undefined)
      ? printable(rule)
      : `${printable(rule)}: ${shown}${against}`
  return passes === false ? paint.bad(`✗ ${text}`) : passes === true ? `✓ ${text}` : `  ${text}`
}

const number = (value: number): string =>
  Number.isInteger(value) ? formatCount(value) : String(Number(value.toPrecision(6)))

function renderText(text: string, paint: Paint): string {
  const { lines, more } = cut(text, COLUMN.most)
  return [
    ...lines.map((line) => `  ${line}`),
    ...(more > 0 ? [paint.dim(`  … ${formatCount(more)} more lines`)] : []),
  ].join('\n')
}

/** Two texts side by side; lines that differ are marked. */
function renderPair(life: RowLife, keeper: ShownRow, paint: Paint): string {
  const room = Math.floor(((process.stdout.columns ?? WIDTH) - 7) / 2)
  const width = Math.min(COLUMN.most, Math.max(COLUMN.least, room))
  const [left, right] = [cut(life.text ?? '(text not at hand)', width), cut(keeper.text ?? '(text not at hand)', width)]
  const rows = Array.from({ length: Math.max(left.lines.length, right.lines.length) }, (_, at) => {
    const [a, b] = [left.lines[at] ?? '', right.lines[at] ?? '']
    return `  ${fill(a, width)} ${a === b ? ' ' : paint.warn('|')} ${b}`.trimEnd()
  })
  const heads = [`removed: ${life.id}`, `kept: ${keeper.id} (${keeper.file}:${keeper.position})`].map((head) =>
    printable(head),
  )
  const more = Math.max(left.more, right.more)
  return [
    `  ${paint.dim(fill(heads[0]!, width))}   ${paint.dim(heads[1]!)}`,
    ...rows,
    ...(more > 0 ? [paint.dim(`  … ${formatCount(more)} more lines`)] : []),
  ].join('\n')
}

const fill = (text: string, width: number): string => text + ' '.repeat(Math.max(0, width - displayWidth(text)))

/** The first lines of a text, wrapped to a width; how many there are beyond. */
function cut(text: string, width: number): { lines: string[]; more: number } {
  const wrapped = printable(text)
    .split('\n')
    .flatMap((line) => wrapLine(line.replaceAll('\t', '  '), width))
  return { lines: wrapped.slice(0, SHOWN_LINES), more: Math.max(0, wrapped.length - SHOWN_LINES) }
}

function wrapLine(line: string, width: number): string[] {
  const lines: string[] = []
  let current = ''
  let used = 0
  for (const character of line) {
    const size = displayWidth(character)
    if (used + size > width) {
      // Between words where there is a space in the second half; anywhere in text without spaces.
      const space = current.lastIndexOf(' ') + 1
      const end = space > current.length / 2 ? space : current.length
      lines.push(current.slice(0, end).trimEnd())
      current = current.slice(end)
      used = displayWidth(current)
    }
    current += character
    used += size
    // The rest of a very long line is never shown.
    if (lines.length > SHOWN_LINES) break
  }
  return [...lines, current]
}
