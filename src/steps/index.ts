/**
 * The table of all steps, in the order `gristmill steps` shows them.
 */
import { exactDedup } from './exact-dedup.js'
import { pack } from './pack.js'
import { shuffle } from './shuffle.js'
import type { AnyStep } from './step.js'
import { tokenize } from './tokenize.js'

export const steps: ReadonlyMap<string, AnyStep> = new Map(
  [exactDedup, shuffle, tokenize, pack].map((step) => [step.name, step as unknown as AnyStep]),
)
