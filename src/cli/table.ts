/** Tables of text: columns as wide as their widest cell, numbers to the right. */
import { stripVTControlCharacters } from 'node:util'
import type { Paint } from './paint.js'

export type Align = 'left' | 'right'

/**
 * Rows under dim headings, two spaces apart, indented by two. The last column is not padded, so that long text
 * there wraps as the terminal likes.
 */
export function renderTable(
  headings: readonly string[],
  align: readonly Align[],
  rows: readonly (readonly string[])[],
  paint: Paint,
): string {
  const lines = [headings.map((heading) => paint.dim(heading)), ...rows]
  return renderColumns(headings.some((heading) => heading !== '') ? lines : rows, align)
}

/** The same without headings: `name  value`. */
export function renderColumns(rows: readonly (readonly string[])[], align: readonly Align[]): string {
  const widths = align.map((_, column) => Math.max(0, ...rows.map((row) => displayWidth(row[column] ?? ''))))
  return rows
    .map((row) => {
      const cells = row.map((cell, column) => {
        const fill = ' '.repeat(Math.max(0, (widths[column] ?? 0) - displayWidth(cell)))
        return align[column] === 'right' ? fill + cell : cell + fill
      })
      return `  ${cells.join('  ')}`.trimEnd()
    })
    .join('\n')
}

/** Columns a text takes on a terminal; wide characters (Chinese, Japanese, Korean) take two. */
function displayWidth(text: string): number {
  let width = 0
  for (const character of stripVTControlCharacters(text)) width += isWide(character) ? 2 : 1
  return width
}

function isWide(character: string): boolean {
  return /[\u1100-\u115F\u2E80-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE4F\uFF00-\uFF60\uFFE0-\uFFE6]|[\u{1F300}-\u{1FAFF}\u{20000}-\u{3FFFD}]/u.test(
    character,
  )
}
