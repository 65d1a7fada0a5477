/** Tables of text: columns as wide as their widest cell, numbers to the right. */
import { stripVTControlCharacters } from 'node:util'
import type { Paint } from './paint.js'

export type Align = 'left' | 'right'

/** Narrower than this, text in the last column is left to the terminal's own wrapping. */
const LEAST_WRAP = 24

/** Rows under dim headings, two spaces apart, indented by two. */
export function renderTable(
  headings: readonly string[],
  align: readonly Align[],
  rows: readonly (readonly string[])[],
  paint: Paint,
): string {
  return renderColumns([headings.map((heading) => paint.dim(heading)), ...rows], align)
}

/**
 * The same without headings: `name  value`. On a terminal of `width` columns a long last column is wrapped
 * below itself.
 */
export function renderColumns(
  rows: readonly (readonly string[])[],
  align: readonly Align[],
  width: number | undefined = process.stdout.columns,
): string {
  const widths = align.map((_, column) => Math.max(0, ...rows.map((row) => displayWidth(row[column] ?? ''))))
  const indent = 2 + widths.slice(0, -1).reduce((sum, one) => sum + one + 2, 0)
  const room = width === undefined ? Infinity : width - indent
  return rows
    .map((row) => {
      const cells = row.map((cell, column) => {
        const fill = ' '.repeat(Math.max(0, (widths[column] ?? 0) - displayWidth(cell)))
        if (align[column] === 'right') return fill + cell
        if (column < align.length - 1) return cell + fill
        return room < LEAST_WRAP ? cell : wrap(cell, room).join(`\n${' '.repeat(indent)}`)
      })
      return `  ${cells.join('  ')}`.trimEnd()
    })
    .join('\n')
}

/** Lines of at most `width` columns, broken between words; a longer word stays whole. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last === undefined || displayWidth(last) + 1 + displayWidth(word) > width) lines.push(word)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}

/** Columns a text takes on a terminal; wide characters (Chinese, Japanese, Korean) take two. */
export function displayWidth(text: string): number {
  let width = 0
  for (const character of stripVTControlCharacters(text)) width += isWide(character) ? 2 : 1
  return width
}

function isWide(character: string): boolean {
  return /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE4F\uFF00-\uFF60\uFFE0-\uFFE6]|[\u{1F300}-\u{1FAFF}\u{20000}-\u{3FFFD}]/u.test(
    character,
  )
}
