/** `gristmill plan train` and `plan serve`: a plan as a table, a page or JSON. */
import { writeFileSync } from 'node:fs'
import { ioError } from '../../core/errors.js'
import { planServe, planServePage, planTrain, planTrainPage } from '../../planner/index.js'
import type { PlanPage, ServePlan, TrainPlan } from '../../planner/index.js'
import { type Console, createConsole } from '../console.js'
import type { PlanningFlags } from '../plan-program.js'
import { renderRefusal } from '../plan-text.js'
import { renderServePlan } from '../plan-serve-text.js'
import { renderTrainPlan } from '../plan-train-text.js'

/** The exit code of a request that cannot be planned; one that does not fit is answered, so it is 0. */
const REFUSED = 2

export function train(flags: PlanningFlags): Promise<number> {
  const options = optionsIn(flags)
  const made = flags.html === undefined ? { plan: planTrain(options), html: null } : planTrainPage(options)
  return Promise.resolve(shown(made, flags, renderTrainPlan))
}

export function serve(flags: PlanningFlags): Promise<number> {
  const options = optionsIn(flags)
  const made = flags.html === undefined ? { plan: planServe(options), html: null } : planServePage(options)
  return Promise.resolve(shown(made, flags, renderServePlan))
}

/** Flags that are the planner's options. */
export function optionsIn(flags: PlanningFlags): Readonly<Record<string, unknown>> {
  const { json: _json, color: _color, quiet: _quiet, explain: _explain, html: _html, ...options } = flags
  return options
}

type Render<Plan> = (plan: Plan, output: Console, explain: boolean) => string

function shown<Plan extends TrainPlan | ServePlan>(
  { plan, html }: PlanPage<Plan>,
  flags: PlanningFlags,
  render: Render<Plan>,
): number {
  const output = createConsole(flags)
  output.object(plan)
  if (plan.status === 'refused') {
    if (!output.json) output.note(renderRefusal(plan, output.notePaint))
    return REFUSED
  }
  output.result(render(plan, output, flags.explain === true))
  if (flags.html !== undefined && html !== null) {
    try {
      writeFileSync(flags.html, html)
    } catch (error) {
      throw ioError(`write ${flags.html}`, error)
    }
    output.note(`wrote ${flags.html}`)
  }
  return 0
}
