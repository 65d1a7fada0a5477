/**
 * The tables the engine works with: formats, steps and sinks by name. They are handed in (see
 * `src/registry.ts`), because the engine lies below them.
 */
import type { SinkFormat } from '../sinks/sink.js'
import type { SourceFormat } from '../sources/source.js'
import type { AnyStep } from '../steps/step.js'

export interface Registry {
  readonly sources: ReadonlyMap<string, SourceFormat>
  readonly steps: ReadonlyMap<string, AnyStep>
  readonly sinks: ReadonlyMap<string, SinkFormat>
}
