/** A serving plan: memory, then the steady state at the concurrency asked for, then what follows from it. */
import type { Quantity, ServePlan, ServeRequest, ServeResult } from '../types.js'
import { serveAdvice } from './advice.js'
import { operate, mostRequests } from './batching.js'
import { gpusForWeights, requestsHeld, serveMemory } from './memory.js'
import { computeFormat, type PassParts } from './pass.js'
import { servingConstants } from './presets.js'
import { serveInputs } from './request.js'
import { serveProvenance } from './provenance.js'
import { scaleOut } from './scale-out.js'

/** The hardware of the one table of serving runs. */
const MEASURED_GPUS = ['H100-SXM', 'H200']
export const SERVING_TABLE = 'trtllm_v1.0_llama3.1_8b'

/** The plan of a resolved request; never throws for a request that does not fit. */
export function planServeRequest(request: ServeRequest): ServePlan {
  const memory = serveMemory(request)
  const head = { schema: 'gristmill.plan.serve/1', id: request.id, inputs: serveInputs(request) } as const
  const common = {
    memory,
    advice: memory.fits ? serveAdvice(request) : [],
    provenance: serveProvenance(request),
    // The shares in data/serving.json were looked at against this table.
    fittedOn: [SERVING_TABLE],
    warnings: warnings(request),
  }
  if (!memory.fits) {
    return { ...head, status: 'does-not-fit', reason: shortage(request), suggestions: remedies(request), ...common }
  }
  const speed = performance(request, memory)
  const late = request.targetP99Ms !== null && speed.scaleOut === null ? [tooLate(request, request.targetP99Ms)] : []
  return {
    ...head,
    status: 'ok',
    reason: null,
    suggestions: [],
    ...common,
    ...speed,
    warnings: [...common.warnings, ...late],
  }
}

type Performance = Pick<ServeResult, 'latency' | 'throughput' | 'bound' | 'curve' | 'scaleOut' | 'cost'>

function performance(request: ServeRequest, memory: ServeResult['memory']): Performance {
  const { layout, cluster, outputTokens, promptTokens, priceUsdPerGpuHour } = request
  const wanted = request.staticBatch ?? (request.concurrency === 'max' ? memory.maxConcurrency : request.concurrency)
  const concurrency = Math.min(wanted, memory.maxConcurrency)
  const state = operate(request, Math.max(1, concurrency / layout.dp))
  // Fewer requests than replicas leave some idle.
  const replicas = Math.min(layout.dp, concurrency)
  const requestsPerS = state.requestsPerS * replicas
  const rate = interval(request, 'throughput')
  const delay = interval(request, 'latency')
  const waitS = request.staticBatch === null ? Math.max(0, wanted - concurrency) / requestsPerS : 0
  const outputTokensPerS = requestsPerS * outputTokens
  return {
    latency: {
      prefillMs: delay(state.prefillS * 1e3),
      decodeMsPerToken: delay(state.decodeS * 1e3),
      ttftMs: delay((state.ttftS + waitS) * 1e3),
      tpotMs: delay(state.tpotS * 1e3),
      requestMs: delay((state.requestS + waitS) * 1e3),
    },
    throughput: {
      outputTokensPerS: rate(outputTokensPerS),
      outputTokensPerSPerGpu: rate(outputTokensPerS / cluster.gpus),
      totalTokensPerS: rate(requestsPerS * (promptTokens + outputTokens)),
      requestsPerS: rate(requestsPerS),
      concurrency,
    },
    bound: boundOf(state.parts),
    curve: curve(request, memory.maxConcurrency, concurrency),
    scaleOut: scaleOut(request),
    cost:
      priceUsdPerGpuHour === null
        ? null
        : { perMTokens: (priceUsdPerGpuHour * cluster.gpus * 1e6) / (outputTokensPerS * 3600) },
  }
}

/** Why no number of GPUs keeps a target. */
function tooLate(request: ServeRequest, targetP99Ms: number): string {
  const alone = operate({ ...request, layout: { ...request.layout, dp: 1 } }, 1).requestS * 1e3
  return `no number of GPUs keeps ${targetP99Ms} ms: one request alone takes ${alone.toFixed(0)} ms; more tp, fewer output tokens or narrower weights would`
}

/** What a mean pass spends most on. The host's share bounds nothing that a user could buy more of. */
function boundOf(parts: PassParts): ServeResult['bound'] {
  const shares: [ServeResult['bound'], number][] = [
    ['compute', parts.compute + parts.promptAttention],
    ['bandwidth', parts.weights],
    ['kv', parts.cache],
    ['communication', parts.communication],
  ]
  return shares.reduce((most, one) => (one[1] > most[1] ? one : most))[0]
}

/** Powers of two up to the limit, the limit, and the point asked for. */
function curve(request: ServeRequest, most: number, asked: number): ServeResult['curve'] {
  const { layout, outputTokens } = request
  const powers = Array.from({ length: 30 }, (_, power) => 2 ** power).filter((n) => n < most)
  const points = [...new Set([...powers, asked, most])].filter((n) => n >= 1).sort((a, b) => a - b)
  return points.map((concurrency) => {
    const state = operate(
      { ...request, staticBatch: request.staticBatch && concurrency },
      Math.max(1, concurrency / layout.dp),
    )
    return {
      concurrency,
      ttftMs: state.ttftS * 1e3,
      tpotMs: state.tpotS * 1e3,
      outputTokensPerS: state.requestsPerS * Math.min(layout.dp, concurrency) * outputTokens,
    }
  })
}

/** Factors of the interval multiply: each kind of distance from the measured runs widens it. */
function interval(request: ServeRequest, kind: 'throughput' | 'latency'): (p50: number) => Quantity {
  const { intervals } = servingConstants()
  const { cluster, framework, model, layout } = request
  let factor = intervals[kind]
  if (!MEASURED_GPUS.includes(cluster.gpu.name)) factor *= intervals.otherHardware
  if (framework !== 'trtllm') factor *= intervals.otherFramework
  if (model.kinds.some(({ mlp }) => mlp.kind === 'experts')) factor *= intervals.experts
  if (layout.tp * layout.pp > 1) factor *= intervals.severalGpus
  return (p50) => ({ p50, lo80: p50 / factor, hi80: p50 * factor })
}

function shortage(request: ServeRequest): string {
  const { capacityGiB, weightsGiB, workspaceGiB, kvCapacityTokens } = serveMemory(request)
  const used = `weights ${weightsGiB.toFixed(1)} GiB and workspace ${workspaceGiB.toFixed(1)} GiB`
  const share = `${(request.memoryFraction * 100).toFixed(0)} % of ${capacityGiB.toFixed(1)} GiB`
  if (kvCapacityTokens === 0) return `${used} leave nothing of ${share} for keys and values`
  const context = request.promptTokens + request.outputTokens
  return `${used} leave room for ${Math.floor(kvCapacityTokens / request.layout.dp)} tokens of ${share}; one request has ${context}`
}

/** What would make the request fit, cheapest first; each is checked before it is named. */
function remedies(request: ServeRequest): string[] {
  const { layout, cluster } = request
  const fits = (change: Partial<ServeRequest>): boolean => serveMemory({ ...request, ...change }).fits
  const found: string[] = []
  for (const kvDtype of ['fp8'] as const) {
    if (request.kvDtype === 'bf16' && fits({ kvDtype })) found.push('--kv-dtype fp8')
  }
  for (const weights of ['fp8', 'int4'] as const) {
    if (request.weights === 'bf16' && fits({ weights })) found.push(`--weights ${weights}`)
  }
  for (let tp = layout.tp * 2; tp <= cluster.gpus / layout.pp; tp *= 2) {
    if (fits({ layout: { ...layout, tp, dp: cluster.gpus / (tp * layout.pp) } })) {
      found.push(`--tp ${tp}`)
      break
    }
  }
  if (found.length === 0) {
    const gpus = Math.max(2 * cluster.gpus, gpusForWeights(request))
    found.push(`--gpus ${gpus}x${cluster.gpu.name} --tp ${gpus}`, 'a GPU with more memory')
  }
  return found
}

function warnings(request: ServeRequest): string[] {
  const { cluster, weights, concurrency, framework, layout } = request
  const list: string[] = []
  const { dtype, weightOnly } = computeFormat(cluster.gpu, weights)
  if (weightOnly && weights !== 'int4')
    list.push(
      `${cluster.gpu.name} does not multiply ${weights} faster than ${dtype}: weights are unpacked, compute stays in ${dtype}`,
    )
  const held = requestsHeld(request) * layout.dp
  if (typeof concurrency === 'number' && concurrency > held)
    list.push(`of ${concurrency} requests ${held} are in flight at once, the cache holds no more; the others wait`)
  const most = mostRequests(request) * layout.dp
  if (typeof concurrency === 'number' && concurrency > most && held > most)
    list.push(`${framework} takes ${most} requests at once; raise its limit for more`)
  if (layout.tp > cluster.scaleUpGpus)
    list.push(`tp ${layout.tp} spans more than the ${cluster.scaleUpGpus} GPUs of one fast link`)
  return list
}
