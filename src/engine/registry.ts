/**
 * The tables the engine works with: formats, steps and sinks by name. They are handed in (see
 * `src/registry.ts`), because the engine lies below them.
 */
import type { ByteStores } from '../io/store.js'
import type { SinkFormat } from '../sinks/sink.js'
import type { InputFile, SourceFormat } from '../sources/source.js'
import type { AnyStep } from '../steps/step.js'

export interface Registry {
  readonly sources: ReadonlyMap<string, SourceFormat>
  readonly steps: ReadonlyMap<string, AnyStep>
  readonly sinks: ReadonlyMap<string, SinkFormat>
  /** Input files of paths, folders and globs, bytewise-sorted. */
  listInputs(
    paths: readonly string[],
    baseFolder: string,
    extensions: readonly string[] | undefined,
    stores: ByteStores,
  ): Promise<InputFile[]>
}
