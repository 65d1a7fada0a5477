/**
 * The one way planner code says that a request cannot be planned. Entry points turn it into a plan with status
 * `refused`; code that prices many layouts returns a `Refusal` instead of throwing.
 */
import type { Refusal } from './types.js'

/** Thrown by readers and resolvers; `reason` says what is wrong, `suggestions` what would work. */
export class PlanRefusal extends Error implements Refusal {
  readonly reason: string
  readonly suggestions: readonly string[]

  constructor(reason: string, suggestions: readonly string[] = []) {
    super(suggestions.length === 0 ? reason : `${reason} (${suggestions.join('; ')})`)
    this.name = 'PlanRefusal'
    this.reason = reason
    this.suggestions = suggestions
  }
}
