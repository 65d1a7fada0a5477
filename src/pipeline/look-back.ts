/**
 * Questions about finished runs: why a row is where it is, and what two runs decided differently.
 */
import type { PipelineDefinition } from '../engine/pipeline.js'
import { openStores } from '../io/stores.js'
import { diffRuns as compareRuns, type RunDiff } from '../observe/diff.js'
import { type RowLife, whyRow as tellRow } from '../observe/why/why.js'
import { registry } from '../registry.js'

export interface WhyOptions {
  /**
   * The pipeline of the run, where its inputs lie in other folders than beside the run, or where steps are
   * functions of a module.
   */
  readonly pipeline?: PipelineDefinition
}

/**
 * The life of each row with an id in a finished run: every step with what it measured, the record of its
 * removal, its text and the text of the row kept in its place. A row without an id is asked for by
 * `FILE:POSITION`. Throws GM_ROW_MISSING when the run has no such row.
 */
export async function whyRow(run: string, id: string, options: WhyOptions = {}): Promise<RowLife[]> {
  const stores = openStores()
  try {
    return await tellRow(run, id, { registry, stores, pipeline: options.pipeline })
  } finally {
    stores.close()
  }
}

export interface DiffOptions extends WhyOptions {
  /** Rows shown of each kind of change; 3 when left out. */
  readonly samples?: number
}

/**
 * What two finished runs over the same data decided differently, by rule: rows that the second removes and the
 * first kept, rows that it brought back, rows that another rule removes. The order and number of rows do not
 * matter for memory: records are sorted in scratch files.
 */
export async function diffRuns(before: string, after: string, options: DiffOptions = {}): Promise<RunDiff> {
  const stores = openStores()
  try {
    return await compareRuns(before, after, options.samples ?? 3, { registry, stores, pipeline: options.pipeline })
  } finally {
    stores.close()
  }
}
