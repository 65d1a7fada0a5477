/** Progress of commands that are soon done: on a terminal one line that is overwritten, elsewhere nothing. */
import type { Console } from './console.js'

const PROGRESS_MS = 200

/** Takes the share that is done, 0 to 1, and the text that says so; at 1 the line is gone. */
export function progressLine(output: Console): (share: number, text: string) => void {
  if (output.quiet || output.json || !process.stderr.isTTY) return () => undefined
  let last = 0
  return (share, text) => {
    const now = performance.now()
    if (share < 1 && now - last < PROGRESS_MS) return
    last = now
    process.stderr.write(share < 1 ? `\r${text}\u001B[K` : '\r\u001B[K')
  }
}
