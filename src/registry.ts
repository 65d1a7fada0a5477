/**
 * All formats, steps and sinks, for the engine: it lies below them and is handed this table by the façade
 * and by the worker's entry.
 */
import type { Registry } from './engine/registry.js'
import { sinkFormats } from './sinks/index.js'
import { sourceFormats } from './sources/index.js'
import { steps } from './steps/index.js'

export const registry: Registry = {
  sources: new Map(sourceFormats.map((format) => [format.name, format])),
  steps,
  sinks: sinkFormats,
}
