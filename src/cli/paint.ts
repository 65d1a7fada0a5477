/** Colours of the terminal: five roles, so that every command looks the same. */

export interface Paint {
  bold(text: string): string
  dim(text: string): string
  /** What is wrong. */
  bad(text: string): string
  /** What deserves a look. */
  warn(text: string): string
  /** Names and progress. */
  accent(text: string): string
}

const sgr = (open: number, close: number) => (text: string) => `\u001B[${open}m${text}\u001B[${close}m`
const plain = (text: string): string => text

const COLOURED: Paint = { bold: sgr(1, 22), dim: sgr(2, 22), bad: sgr(31, 39), warn: sgr(33, 39), accent: sgr(36, 39) }
const PLAIN: Paint = { bold: plain, dim: plain, bad: plain, warn: plain, accent: plain }

/**
 * Colours for a stream: never with `--no-color` or NO_COLOR (https://no-color.org), always with FORCE_COLOR, else
 * on terminals that are not dumb.
 */
export function paintFor(stream: { readonly isTTY?: boolean }, wanted: boolean): Paint {
  const { NO_COLOR, FORCE_COLOR, TERM } = process.env
  if (!wanted || (NO_COLOR !== undefined && NO_COLOR !== '')) return PLAIN
  if (FORCE_COLOR !== undefined && FORCE_COLOR !== '' && FORCE_COLOR !== '0') return COLOURED
  return stream.isTTY === true && TERM !== 'dumb' ? COLOURED : PLAIN
}
