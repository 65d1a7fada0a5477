/** The page of a serving plan: memory of one GPU, the curve over concurrency, where a pass spends its time. */
import { html, type Markup, nothing } from '../../core/page/html.js'
import { section, table } from '../../core/page/parts.js'
import type { ServePlan } from '../types.js'
import { figure, gib, interval } from './figures.js'
import { advice, background, head, stackedBars, type Tile, tiles } from './parts.js'

const WIDTH = 1000
const HEIGHT = 220

export function servePage(plan: ServePlan): Markup {
  return html`${head(plan, 'Serving')}${serveTiles(plan)}${memory(plan)}${curve(plan)}${advice(plan)}${background(plan)}
    <footer>GiB is 2³⁰ bytes. Intervals hold 80 % of runs.</footer>`
}

function serveTiles({ latency, throughput, cost, scaleOut }: ServePlan): Markup {
  if (latency === undefined || throughput === undefined) return nothing
  const list: Tile[] = [
    {
      title: 'Output tokens a second',
      value: figure(throughput.outputTokensPerS.p50),
      note: interval(throughput.outputTokensPerS, ''),
    },
    { title: 'Requests in flight', value: String(throughput.concurrency) },
    { title: 'First token', value: `${figure(latency.ttftMs.p50)} ms`, note: interval(latency.ttftMs, 'ms') },
    { title: 'Each further token', value: `${figure(latency.tpotMs.p50)} ms`, note: interval(latency.tpotMs, 'ms') },
  ]
  if (cost !== undefined && cost !== null)
    list.push({ title: 'A million output tokens', value: `${cost.perMTokens.toFixed(2)} USD` })
  if (scaleOut !== undefined && scaleOut !== null)
    list.push({
      title: 'GPUs for the target',
      value: String(scaleOut.gpus),
      note: `99 % within ${figure(scaleOut.p99Ms)} ms`,
    })
  return tiles(list)
}

function memory({ memory: plan, inputs }: ServePlan): Markup {
  if (plan === undefined) return nothing
  const perReplica = plan.kvCapacityTokens / Number(inputs['dp'] ?? 1)
  const ranks = Number(inputs['tp'] ?? 1) * Number(inputs['pp'] ?? 1)
  const cache = (perReplica * plan.kvBytesPerToken) / ranks / 2 ** 30
  const used = plan.weightsGiB + plan.workspaceGiB + cache
  return section(
    'Memory of one GPU',
    `The cache holds ${figure(plan.kvCapacityTokens)} tokens over all replicas, ${figure(plan.kvBytesPerToken / 1024)} KiB each; the dashed line is the capacity of ${gib(plan.capacityGiB)}.`,
    stackedBars(
      [
        { colour: 's2', name: 'weights' },
        { colour: 's4', name: 'workspace' },
        { colour: 's1', name: 'keys and values' },
      ],
      [{ name: 'GPU', lengths: [plan.weightsGiB, plan.workspaceGiB, cache], label: gib(used), over: !plan.fits }],
      plan.capacityGiB,
    ),
  )
}

function curve({ curve: points = [], throughput }: ServePlan): Markup {
  if (points.length < 2) return nothing
  const most = Math.max(...points.map((point) => point.outputTokensPerS))
  const slowest = Math.max(...points.map((point) => point.tpotMs))
  const last = Math.log2(points.at(-1)!.concurrency)
  const x = (concurrency: number): string => ((Math.log2(concurrency) / last) * WIDTH).toFixed(1)
  const line = (share: (point: (typeof points)[number]) => number): string =>
    points.map((point) => `${x(point.concurrency)},${(HEIGHT - share(point) * HEIGHT).toFixed(1)}`).join(' ')
  const label = `Output tokens a second and milliseconds per token, from ${points[0]!.concurrency} to ${points.at(-1)!.concurrency} requests; the table below has the numbers`
  const rows = points.map((point) => ({
    cells: [String(point.concurrency), figure(point.ttftMs), figure(point.tpotMs), figure(point.outputTokensPerS)],
    strong: point.concurrency === throughput?.concurrency,
  }))
  return section(
    'Against concurrency',
    'More requests in flight share the reading of weights: tokens a second rise, and so does the time of each token.',
    html`<div class="legend">
        <span><i class="swatch" style="background:var(--data)"></i>output tokens a second, top ${figure(most)}</span>
        <span><i class="swatch" style="background:var(--s2)"></i>ms per token, top ${figure(slowest)}</span>
      </div>
      <svg class="curve" viewBox="0 0 ${WIDTH} ${HEIGHT}" preserveAspectRatio="none" role="img" aria-label="${label}">
        <polyline class="line" points="${line((point) => point.outputTokensPerS / most)}" />
        <polyline class="line2" points="${line((point) => point.tpotMs / slowest)}" />
        <line class="base" x1="0" x2="${WIDTH}" y1="${HEIGHT}" y2="${HEIGHT}" />
      </svg>
      <div class="axis" aria-hidden="true">
        <span>${points[0]!.concurrency}</span><span>requests in flight, doubling</span
        ><span>${points.at(-1)!.concurrency}</span>
      </div>
      ${table(
        'Latency and throughput by concurrency',
        [
          { title: 'Requests', kind: 'name' },
          { title: 'First token, ms', kind: 'number' },
          { title: 'Per token, ms', kind: 'number' },
          { title: 'Output tokens/s', kind: 'number' },
        ],
        rows,
      )}`,
  )
}
