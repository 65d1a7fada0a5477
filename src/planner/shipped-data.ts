/** The data files that come with the planner: hardware, models, constants. */
import { readFileSync } from 'node:fs'

/** Parsed content of a file in `data/`. */
export function shippedData(name: string): unknown {
  return JSON.parse(readFileSync(new URL(`./data/${name}`, import.meta.url), 'utf8')) as unknown
}
