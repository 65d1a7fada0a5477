/**
 * The entry points of the planner: options in, a plan out. A request that cannot be planned is a plan as well, with
 * status `refused`, its reason and what would work.
 */
import { trainAdvice } from './advice.js'
import { type PlanKind, readOptions } from './options.js'
import { drawingsOf } from './page/drawings.js'
import { renderPlanPage } from './page/page.js'
import { PlanRefusal } from './refusal.js'
import type { ServeOptions, TrainOptions } from './request-options.js'
import { planServeRequest } from './serve/plan.js'
import { resolveServe } from './serve/request.js'
import { planTrainRequest } from './train-plan.js'
import { resolveTrain } from './train-request.js'
import type { ServePlan, TrainPlan, TrainRequest } from './types.js'

export interface PlanSettings {
  /** Where relative paths of `config` and `hardware` start; the current folder by default. */
  readonly folder?: string
}

type Raw = Readonly<Record<string, unknown>>

/**
 * Plans a training run: memory, time, throughput and, unless `search` is false, the best layouts.
 *
 * Pure but for the files that options name. Never throws for what a request says: see `status`. A search takes up to
 * two seconds.
 *
 * ```ts
 * const plan = planTrain({ model: 'llama-3-8b', gpus: '8xH100', seq: 8192, globalBatch: 64 })
 * ```
 */
export function planTrain(options: TrainOptions, settings: PlanSettings = {}): TrainPlan {
  return answered<TrainPlan>(
    'train',
    options as Raw,
    (read) => trained(resolveTrain(read, settings.folder ?? '.')).plan,
  )
}

interface Trained {
  readonly plan: TrainPlan
  /** The request with the layout the plan is about. */
  readonly request: TrainRequest
}

function trained(request: TrainRequest): Trained {
  const plan = planTrainRequest(request)
  const chosen = { ...request, layout: plan.search?.best[0]?.layout ?? request.layout }
  if (plan.time === undefined || plan.memory === undefined) return { plan, request: chosen }
  const advice = trainAdvice(chosen, { time: plan.time, memory: plan.memory })
  return { plan: { ...plan, advice }, request: chosen }
}

export interface PlanPage<Plan> {
  readonly plan: Plan
  /** `null` when the request was refused. */
  readonly html: string | null
}

/** A training plan and its self-contained page, with the schedule and the map of layouts. */
export function planTrainPage(options: TrainOptions, settings: PlanSettings = {}): PlanPage<TrainPlan> {
  let html: string | null = null
  const plan = answered<TrainPlan>('train', options as Raw, (read) => {
    const { plan: made, request } = trained(resolveTrain(read, settings.folder ?? '.'))
    if (made.status !== 'refused') html = renderPlanPage(made, drawingsOf(request))
    return made
  })
  return { plan, html }
}

/** A serving plan and its self-contained page. */
export function planServePage(options: ServeOptions, settings: PlanSettings = {}): PlanPage<ServePlan> {
  const plan = planServe(options, settings)
  return { plan, html: plan.status === 'refused' ? null : renderPlanPage(plan) }
}

/** Plans serving: memory, latency, throughput and their curve over concurrency. Never throws for what a request says. */
export function planServe(options: ServeOptions, settings: PlanSettings = {}): ServePlan {
  return answered<ServePlan>('serve', options as Raw, (read) =>
    planServeRequest(resolveServe(read, settings.folder ?? '.')),
  )
}

/**
 * Plans one line of a batch file: `{"kind": "train", …options}`, or the options under `request`.
 *
 * Without `kind` a line with an option that only serving has is a serving request, any other a training request.
 */
export function planLine(line: unknown, settings: PlanSettings = {}): TrainPlan | ServePlan {
  if (typeof line !== 'object' || line === null || Array.isArray(line))
    return refused('train', null, new PlanRefusal('a line is not an object', ['write {"kind": "train", "model": …}']))
  const { kind, request, id, ...rest } = line as Raw
  const nested = typeof request === 'object' && request !== null ? (request as Raw) : {}
  const options: Raw = { ...rest, ...nested, ...(id === undefined ? {} : { id }) }
  const chosen = kind ?? (SERVE_ONLY.some((name) => name in options) ? 'serve' : 'train')
  if (chosen === 'train') return planTrain(options, settings)
  if (chosen === 'serve') return planServe(options, settings)
  const fault = `kind: ${JSON.stringify(chosen)} is neither train nor serve`
  return refused('train', idOf(options), new PlanRefusal(fault, ['"kind": "train" or "kind": "serve"']), options)
}

function idOf({ id }: Raw): string | null {
  return typeof id === 'string' || typeof id === 'number' ? String(id) : null
}

const SERVE_ONLY = ['weights', 'kvDtype', 'prompt', 'output', 'concurrency', 'staticBatch', 'targetP99Ms', 'arrivalRps']

function answered<Plan extends TrainPlan | ServePlan>(
  kind: PlanKind,
  options: Raw,
  plan: (options: ReturnType<typeof readOptions>) => Plan,
): Plan {
  try {
    return plan(readOptions(options, kind))
  } catch (error) {
    if (!(error instanceof PlanRefusal)) throw error
    return refused(kind, idOf(options), error, options) as Plan
  }
}

/** A refused plan repeats the options as they were given, so that a batch's answers can be read alone. */
function refused(kind: PlanKind, id: string | null, refusal: PlanRefusal, options: Raw = {}): TrainPlan | ServePlan {
  const { id: _id, ...given } = options
  const answer = {
    id,
    status: 'refused' as const,
    reason: refusal.reason,
    suggestions: refusal.suggestions,
    inputs: { ...given, assumed: [] },
  }
  return kind === 'train'
    ? { schema: 'gristmill.plan.train/1', ...answer }
    : { schema: 'gristmill.plan.serve/1', ...answer }
}
