/** A serving plan as text. */
import type { Quantity, ServePlan } from '../planner/index.js'
import type { Console } from './console.js'
import { figure, gib, quantity } from '../planner/page/figures.js'
import { advice, block, heading, notes } from './plan-text.js'
import { renderTable } from './table.js'

const BOUNDS = {
  compute: 'arithmetic',
  bandwidth: 'reading weights',
  kv: 'reading keys and values',
  communication: 'communication between GPUs',
} as const

/** Rows of the curve; the terminal shows every other when there are more. */
const CURVE_ROWS = 8

export function renderServePlan(plan: ServePlan, { paint }: Console, explain: boolean): string {
  const { memory, latency, throughput } = plan
  const parts = [heading(plan, paint), layoutLine(plan)]
  if (memory !== undefined) {
    parts.push(
      block(
        'memory of one GPU',
        [
          ['weights', gib(memory.weightsGiB)],
          ['workspace', gib(memory.workspaceGiB)],
          ['capacity', gib(memory.capacityGiB)],
          ['a token of cache', `${figure(memory.kvBytesPerToken / 1024)} KiB`],
          ['tokens held', figure(memory.kvCapacityTokens)],
          ['requests at once', String(memory.maxConcurrency)],
          ['longest context', String(memory.maxContext)],
        ],
        paint,
      ),
    )
  }
  if (latency !== undefined && throughput !== undefined) {
    parts.push(
      block(
        `with ${throughput.concurrency} requests in flight (80 % interval in brackets)`,
        [
          ['time to first token', quantity(latency.ttftMs, 'ms')],
          ['time per output token', quantity(latency.tpotMs, 'ms')],
          ['a request', quantity(scaled(latency.requestMs, 1e-3), 's')],
          ['output tokens a second', quantity(throughput.outputTokensPerS, '')],
          ['requests a second', quantity(throughput.requestsPerS, '')],
          ['bound by', plan.bound === undefined ? '' : BOUNDS[plan.bound]],
          ...costs(plan),
        ],
        paint,
      ),
      curve(plan, paint),
    )
  }
  parts.push(advice(plan, paint))
  return [...parts.filter((part) => part !== ''), ...notes(plan, explain, paint)].join('\n\n')
}

const scaled = ({ p50, lo80, hi80 }: Quantity, by: number): Quantity => ({
  p50: p50 * by,
  lo80: lo80 * by,
  hi80: hi80 * by,
})

function layoutLine({ inputs }: ServePlan): string {
  const { tp, pp, dp, ep, weights, kvDtype, framework } = inputs
  return `tp ${String(tp)}, pp ${String(pp)}, dp ${String(dp)}, ep ${String(ep)}; weights ${String(weights)}, cache ${String(kvDtype)}, ${String(framework)}`
}

function costs({ cost = null, scaleOut = null }: ServePlan): (readonly [string, string])[] {
  return [
    ...(cost === null ? [] : [['a million output tokens', `${cost.perMTokens.toFixed(3)} USD`] as const]),
    ...(scaleOut === null
      ? []
      : [['GPUs for the target', `${scaleOut.gpus} (99 % within ${figure(scaleOut.p99Ms)} ms)`] as const]),
  ]
}

function curve({ curve: points = [] }: ServePlan, paint: Console['paint']): string {
  const every = Math.ceil(points.length / CURVE_ROWS)
  const rows = points
    .filter((_, at) => (points.length - 1 - at) % every === 0)
    .map((point) => [
      String(point.concurrency),
      figure(point.ttftMs),
      figure(point.tpotMs),
      figure(point.outputTokensPerS),
    ])
  const align = ['right', 'right', 'right', 'right'] as const
  return renderTable(['requests', 'first token ms', 'per token ms', 'tokens/s'], align, rows, paint)
}
