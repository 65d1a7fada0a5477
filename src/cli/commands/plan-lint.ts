/** `gristmill plan lint`: dimensions that waste the hardware, as a table or JSON. */
import { type LintReport, lintModel } from '../../planner/index.js'
import { figure } from '../../planner/page/figures.js'
import { createConsole } from '../console.js'
import type { Paint } from '../paint.js'
import type { PlanningFlags } from '../plan-program.js'
import { renderRefusal } from '../plan-text.js'
import { optionsIn } from './plan.js'

const REFUSED = 2

export function lint(flags: PlanningFlags): Promise<number> {
  const output = createConsole(flags)
  const report = lintModel(optionsIn(flags))
  output.object(report)
  if (report.status === 'refused') {
    if (!output.json) output.note(renderRefusal(report, output.notePaint))
    return Promise.resolve(REFUSED)
  }
  output.result(render(report, output.paint))
  return Promise.resolve(0)
}

function render({ inputs, findings }: LintReport, paint: Paint): string {
  const { model, gpus, tp, assumed } = inputs
  const title = `${paint.bold(String(model))} on ${paint.bold(String(gpus))}, tp ${String(tp)}`
  const list = findings.map(
    ({ field, problem, suggestion, effect, source }) =>
      `${paint.warn(field)}: ${problem}\n  ${suggestion}: ${effect.of} ${paint.bold(`${figure(effect.before)} → ${figure(effect.after)} ${effect.unit}`)}\n  ${paint.dim(source)}`,
  )
  const none = findings.length === 0 ? ['nothing to mend: heads, widths and vocabulary fit tiles and waves'] : list
  return [title, ...none, ...(assumed.length > 0 ? [paint.dim(`assumed: ${assumed.join(', ')}`)] : [])].join('\n\n')
}
