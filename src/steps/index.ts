/**
 * The table of all steps: one import and one entry each, in the order `gristmill steps` shows.
 */
import { chunk } from './chunk.js'
import { drop } from './drop.js'
import { filter } from './filter.js'
import { map } from './map.js'
import { normalize } from './normalize.js'
import { rename } from './rename.js'
import { sample } from './sample.js'
import { select } from './select.js'
import type { AnyStep } from './step.js'

export const STEPS: readonly AnyStep[] = [normalize, filter, map, select, rename, drop, sample, chunk]

/** The step of that name in a pipeline file. */
export function findStep(name: string): AnyStep | undefined {
  return STEPS.find((step) => step.name === name)
}
