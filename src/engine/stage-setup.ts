/** What the tasks of a stage share, as it is sent to every worker once. */
import type { Plan, Stage } from './plan.js'
import type { PreparedPipeline } from './prepare.js'
import type { StageSetup } from './task.js'

export function stageSetup(prepared: PreparedPipeline, plan: Plan, stage: Stage): StageSetup {
  const { spec } = prepared.definition
  return {
    index: stage.index,
    source:
      stage.input === 'splits'
        ? {
            format: prepared.source.name,
            options: prepared.sourceOptions,
            columns: prepared.sourceColumns,
            where: prepared.where,
          }
        : undefined,
    chain: stage.chain,
    columns: stage.columns,
    boundary: stage.boundary,
    indexed: indexedDedup(plan.stages[stage.index - 1]),
    sink: spec.sink,
    keepText: { column: spec.keepRemovedText === true, ofBoundary: stage.keepText },
    vocabularySize: prepared.vocabularySize,
  }
}

/** The deduplication at a stage's end, if it leaves an index. */
function indexedDedup(stage: Stage | undefined): StageSetup['indexed'] {
  const dedup = stage?.boundary?.dedup
  return dedup && dedup.kind !== 'parts' && dedup.index ? dedup : undefined
}
