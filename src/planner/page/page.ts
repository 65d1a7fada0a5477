/** A plan as one self-contained page: no script, no request, readable in light, dark and print. */
import { document } from '../../core/page/document.js'
import type { ServePlan, TrainPlan } from '../types.js'
import type { Drawings } from './drawings.js'
import { servePage } from './serve-page.js'
import { PLAN_STYLE } from './style.js'
import { trainPage } from './train-page.js'

/** The page of a plan that was not refused; `drawings` adds the schedule and the map of layouts. */
export function renderPlanPage(plan: TrainPlan | ServePlan, drawings: Drawings = {}): string {
  const main = plan.schema === 'gristmill.plan.train/1' ? trainPage(plan, drawings) : servePage(plan)
  return document(`${String(plan.inputs['model'])} on ${String(plan.inputs['gpus'])}: gristmill plan`, main, PLAN_STYLE)
}
