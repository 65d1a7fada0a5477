/**
 * A stage's map steps at work: batches go through them one by one, each step counted and timed.
 */
import type { NativeFinishedFile, NativeGroupCounts, NativeStepGroups } from '../../native/index.js'
import { GristmillError } from '../core/errors.js'
import type { Batch } from '../kernels/batch.js'
import { addon, native } from '../kernels/native.js'
import type { StepRunner } from '../steps/step.js'
import { StepCounters } from './counters.js'
import type { TaskGroups } from './guard.js'
import type { UserFunction } from './pipeline.js'
import type { ChainStep } from './plan.js'
import type { Registry } from './registry.js'

export class Chain implements Disposable {
  readonly removed = new addon.NativeRemovedLog()
  readonly edits = new addon.NativeEdits()
  /** Counts the rows that steps route; the task says where they go. */
  readonly routed = new addon.NativeRoutedRows()
  readonly counters: StepCounters[]
  /** Rows that entered each step and left there, by the values of `source` and `lang`. */
  readonly #groups: NativeGroupCounts[]
  readonly #steps: readonly ChainStep[]
  readonly #runners: StepRunner[] = []

  /** Parameters found in the data come by the steps' labels; without them such steps are only tried out. */
  constructor(
    steps: readonly ChainStep[],
    registry: Registry,
    functions: readonly UserFunction[],
    { keepText = false, fitted }: { readonly keepText?: boolean; readonly fitted?: ReadonlyMap<string, string> } = {},
  ) {
    if (keepText) native(() => this.removed.keepTexts())
    this.#steps = steps
    this.#groups = steps.map(() => new addon.NativeGroupCounts())
    this.counters = steps.map((step) => new StepCounters(step.label))
    for (const { name, label, payload } of steps) {
      const step = registry.steps.get(name)
      if (step?.kind !== 'map') throw new GristmillError('GM_INTERNAL', `'${name}' is not a map step`)
      this.#runners.push(
        step.open(payload, {
          removed: this.removed,
          edits: this.edits,
          routed: this.routed,
          step: label,
          fitted: fitted?.get(label),
          userFunction: (index) => functions[index]!,
        }),
      )
    }
  }

  /** Rows that entered each step, and rows that it removed, by the values of `source` and `lang` they came with. */
  groups(): TaskGroups {
    const of = (what: 'entered' | 'removed'): NativeStepGroups[] =>
      this.#steps.map(({ label }, index) => this.#groups[index]![what](label))
    return { entered: of('entered'), removed: of('removed') }
  }

  /** What steps gathered over the task's rows, each in the file `<base>.<step>.gathered`. */
  gathered(base: string): (NativeFinishedFile & { readonly step: string })[] {
    return this.#runners.flatMap((runner, index) => {
      const { label } = this.#steps[index]!
      return runner.finish ? [{ ...runner.finish(`${base}.${label}.gathered`), step: label }] : []
    })
  }

  /** Rows steps made out of one row, beyond the first. */
  added = 0

  /** Runs a batch through all steps and compacts it. Takes the batch over; the result is the caller's. */
  async run(input: Batch): Promise<Batch> {
    let batch = input
    try {
      for (const [index, runner] of this.#runners.entries()) {
        const counters = this.counters[index]!
        const before = batch.keptRows
        const goneBefore = this.removed.rows + this.routed.rows
        counters.rowsIn += before
        counters.bytesIn += batch.bytes
        native(() => {
          this.#groups[index]!.enter(batch.handle)
          this.removed.takeText(this.#steps[index]!.keepText)
        })
        const start = performance.now()
        const result = runner.run(batch)
        const other = result instanceof Promise ? await result : result
        counters.busyMs += performance.now() - start
        counters.reusedRows = runner.reusedRows ?? 0
        if (other !== undefined && other !== batch) {
          batch.dispose()
          batch = other
        }
        native(() => this.#groups[index]!.leave(batch.handle))
        const after = batch.keptRows
        counters.rowsOut += after
        counters.bytesOut += batch.bytes
        this.added += after - before + (this.removed.rows + this.routed.rows - goneBefore)
        if (after === 0) break
      }
      batch.change((handle) => handle.compact())
      return batch
    } catch (error) {
      batch.dispose()
      throw error
    }
  }

  dispose(): void {
    for (const runner of this.#runners) runner[Symbol.dispose]()
    this.removed.dispose()
    this.edits.dispose()
    this.routed.dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}
