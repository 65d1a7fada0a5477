/** How plans are written for people: what the tables of training and serving share. */
import type { ServePlan, TrainPlan } from '../planner/index.js'
import { figure, quantity } from '../planner/page/figures.js'
import { quantityAt } from '../planner/score/score.js'
import type { Paint } from './paint.js'
import { renderColumns } from './table.js'

export function heading(plan: TrainPlan | ServePlan, paint: Paint): string {
  const { model, gpus } = plan.inputs
  const title = `${paint.bold(String(model))} on ${paint.bold(String(gpus))}`
  if (plan.status === 'ok') return title
  const mend = plan.suggestions.length === 0 ? '' : `\n  try ${plan.suggestions.join(', or ')}`
  return `${title}\n${paint.bad('does not fit')}: ${plan.reason ?? ''}${mend}`
}

/** `name  value` under a heading. */
export function block(title: string, rows: readonly (readonly [string, string])[], paint: Paint): string {
  return `${paint.accent(title)}\n${renderColumns(rows, ['left', 'left'])}`
}

export function notes(plan: TrainPlan | ServePlan, explain: boolean, paint: Paint): string[] {
  const { assumed } = plan.inputs
  const parts: string[] = []
  for (const warning of plan.warnings ?? []) parts.push(`${paint.warn('note')}: ${warning}`)
  if (assumed.length > 0) parts.push(paint.dim(`assumed: ${assumed.join(', ')}`))
  if (explain) parts.push(explained(plan, paint))
  return parts
}

function explained(plan: TrainPlan | ServePlan, paint: Paint): string {
  const entries = (plan.provenance ?? []).map(({ field, formula, source }) => {
    const value = quantityAt(plan, field)
    const shown = value === null ? '' : ` ${value.lo80 === value.hi80 ? figure(value.p50) : quantity(value, '')}`
    return `  ${paint.bold(field)}${shown}\n    = ${formula}\n    ${paint.dim(source)}`
  })
  return `${paint.accent('where the numbers come from')}\n${entries.join('\n')}`
}

/** What to change, and the number it changes. */
export function advice({ advice: items = [] }: TrainPlan | ServePlan, paint: Paint): string {
  if (items.length === 0) return ''
  const lines = items.map(({ text, effect, source }) => `  ${text}: ${paint.bold(effect)} ${paint.dim(`[${source}]`)}`)
  return `${paint.accent('advice')}\n${lines.join('\n')}`
}

/** `refused: reason`, then what would work, a line each. */
export function renderRefusal(
  { reason, suggestions }: Pick<TrainPlan, 'reason' | 'suggestions'>,
  paint: Paint,
): string {
  const lines = [`${paint.bad(paint.bold('refused'))}: ${reason ?? ''}`]
  for (const suggestion of suggestions) lines.push(`${paint.accent('try')}: ${suggestion}`)
  return lines.join('\n')
}
