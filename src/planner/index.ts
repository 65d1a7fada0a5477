/**
 * `gristmill/planner`: will it fit, how fast will it be, which layout. Stands alone: no engine, no native code.
 */
export {
  planLine,
  type PlanPage,
  type PlanSettings,
  planServe,
  planServePage,
  planTrain,
  planTrainPage,
} from './plan.js'
export { type LintFinding, lintModel, type LintReport } from './lint.js'
export { BUILT_IN_MODELS } from './models.js'
export { findGpu, hardwareTable, type HardwareTable } from './hardware.js'
export { type Score, scoreLines, type TableScore } from './score/score.js'
export { PlanRefusal } from './refusal.js'
export type { ClusterOptions, LintOptions, ModelOptions, ServeOptions, TrainOptions } from './request-options.js'
export type * from './types.js'
