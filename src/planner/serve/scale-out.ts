/**
 * GPUs for a rate of arrivals and a latency that 99 % of the requests must keep.
 *
 * Requests arrive at random (Poisson) and spread evenly over replicas. While slots are free a request starts at once,
 * so the number in service is Poisson with mean rate × latency whatever the latencies' distribution (M/G/∞: Eick,
 * Massey and Whitt 1993, doi:10.1287/mnsc.39.2.241); a busy replica is slower, so latency is taken at the 99th
 * percentile of that number. When all slots are taken requests queue: the wait's tail is Erlang's C formula (M/M/c:
 * Kleinrock 1975, Queueing Systems I, eq. 3.40). The 99th percentile is bounded by the sum of both.
 */
import type { ServeRequest, ServeResult } from '../types.js'
import { concurrencyAt, operate, type Operation } from './batching.js'
import { serveMemory } from './memory.js'

const MOST_REPLICAS = 2 ** 20

export function scaleOut(request: ServeRequest): ServeResult['scaleOut'] {
  const { targetP99Ms, arrivalRps, layout } = request
  if (targetP99Ms === null || arrivalRps === null) return null
  const replica = { ...request, layout: { ...layout, dp: 1 } }
  const slots = serveMemory(replica).maxConcurrency
  if (slots < 1) return null
  const full = operate(replica, slots)
  const p99 = (replicas: number): number => p99Ms(replica, { slots, full }, arrivalRps / replicas)
  // One request alone is the least latency there is: more GPUs cannot help below it.
  if (operate(replica, 1).requestS * 1e3 > targetP99Ms) return null
  // Latency falls with every replica, so doubling and then bisection find the least number.
  let enough = 1
  while (p99(enough) > targetP99Ms) {
    enough *= 2
    if (enough > MOST_REPLICAS) return null
  }
  let tooFew = Math.floor(enough / 2)
  while (enough - tooFew > 1) {
    const middle = Math.floor((enough + tooFew) / 2)
    if (p99(middle) > targetP99Ms) tooFew = middle
    else enough = middle
  }
  return { gpus: enough * layout.tp * layout.pp, p99Ms: p99(enough) }
}

interface Replica {
  readonly slots: number
  /** With all slots taken. */
  readonly full: Operation
}

/** 99th percentile of one replica's latency, in milliseconds; infinite when it cannot keep up. */
function p99Ms(replica: ServeRequest, { slots, full }: Replica, arrivalsPerS: number): number {
  if (arrivalsPerS >= full.requestsPerS) return Infinity
  const busy = Math.min(slots, poissonQuantile(concurrencyAt(replica, arrivalsPerS, slots), 0.99))
  const service = operate(replica, Math.max(1, busy)).requestS
  // Each slot serves 1/requestS; together they serve what the full replica does.
  const offered = (arrivalsPerS / full.requestsPerS) * slots
  const queued = erlangC(slots, offered)
  const wait = queued <= 0.01 ? 0 : Math.log(queued / 0.01) / (full.requestsPerS - arrivalsPerS)
  return (service + wait) * 1e3
}

/** Smallest n with P(N ≤ n) ≥ share; beyond a mean of 500 by the normal approximation. */
export function poissonQuantile(mean: number, share: number): number {
  // 2.3263 is the normal distribution's 99th percentile, the only one asked for at large means.
  if (mean > 500) return Math.ceil(mean + 2.3263 * Math.sqrt(mean))
  let probability = Math.exp(-mean)
  let sum = probability
  let n = 0
  while (sum < share && n < 10_000) {
    n++
    probability *= mean / n
    sum += probability
  }
  return n
}

/** Probability that an arrival waits, with `servers` servers and `offered` erlangs; by the stable recursion of B. */
export function erlangC(servers: number, offered: number): number {
  if (offered >= servers) return 1
  let blocking = 1
  for (let n = 1; n <= servers; n++) blocking = (offered * blocking) / (n + offered * blocking)
  return (servers * blocking) / (servers - offered * (1 - blocking))
}
