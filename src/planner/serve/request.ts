/** A serving request from its options; what is not given gets a default, whose name is noted. */
import type { ReadOptions } from '../options.js'
import { PlanRefusal } from '../refusal.js'
import { Assumptions, clusterInputs, resolveCluster, resolveModel } from '../resolve.js'
import type { Cluster, KvDtype, Model, ServeFramework, ServeRequest, WeightDtype } from '../types.js'
import { operate } from './batching.js'
import { serveMemory } from './memory.js'
import { servingConstants } from './presets.js'

const DEFAULT_PROMPT = 1024
const DEFAULT_OUTPUT = 256

/** Throws `PlanRefusal`; `folder` is where relative paths start. */
export function resolveServe(options: ReadOptions, folder: string): ServeRequest {
  const assumed = new Assumptions()
  const model = resolveModel(options, assumed, folder)
  if (!model.causal) throw new PlanRefusal(`${model.name} is an encoder, which generates nothing`, ['name a decoder'])
  const cluster = resolveCluster(options, folder)
  const framework = assumed.take<ServeFramework>(
    'framework',
    options.framework as ServeFramework | undefined,
    () => 'neutral',
  )
  const preset = servingConstants().frameworks[framework]
  const weights = assumed.take<WeightDtype>('weights', options.weights, () => 'bf16')
  const promptTokens = assumed.take('prompt', options.prompt, () => DEFAULT_PROMPT)
  const outputTokens = assumed.take('output', options.output, () => DEFAULT_OUTPUT)
  checkLength(model, promptTokens + outputTokens)
  const whole = assumed.take('chunkedPrefill', options.chunkedPrefill, () => preset.chunk ?? false)
  const request: Omit<ServeRequest, 'layout' | 'assumed'> = {
    kind: 'serve',
    id: options.id,
    model,
    cluster,
    weights,
    // Checkpoints quantised to FP8 carry scales for the cache, which engines then keep in FP8 as well.
    kvDtype: assumed.take<KvDtype>('kvDtype', options.kvDtype, () =>
      framework === 'trtllm' && (weights === 'fp8' || weights === 'fp4') ? 'fp8' : 'bf16',
    ),
    promptTokens,
    outputTokens,
    concurrency: assumed.take<number | 'max'>('concurrency', options.concurrency, () => options.staticBatch ?? 'max'),
    staticBatch: options.staticBatch ?? null,
    memoryFraction: assumed.take('memoryFraction', options.memoryFraction, () => preset.memoryFraction),
    chunkedPrefill: typeof whole === 'number' ? whole : whole ? (preset.chunk ?? preset.batchTokens) : null,
    framework,
    priceUsdPerGpuHour: options.price ?? null,
    targetP99Ms: options.targetP99Ms ?? null,
    arrivalRps: options.arrivalRps ?? null,
  }
  checkTarget(request)
  const layout = resolveLayout(options, { ...request, assumed: [] }, assumed)
  return { ...request, layout, assumed: assumed.names }
}

function checkLength({ name, maxPositions }: Model, tokens: number): void {
  if (maxPositions === null || tokens <= maxPositions) return
  throw new PlanRefusal(`prompt and output are ${tokens} tokens; ${name} takes ${maxPositions}`, [
    `prompt and output of at most ${maxPositions} together`,
  ])
}

function checkTarget({ targetP99Ms, arrivalRps }: Pick<ServeRequest, 'targetP99Ms' | 'arrivalRps'>): void {
  if (targetP99Ms !== null && arrivalRps === null)
    throw new PlanRefusal('a target latency needs a rate of arrival', ['--arrival-rps 10'])
}

/** Ranks as given; where tp is not given, the division of the GPUs that serves the most. */
function resolveLayout(
  options: ReadOptions,
  request: Omit<ServeRequest, 'layout'>,
  assumed: Assumptions,
): ServeRequest['layout'] {
  const { cluster, model } = request
  const pp = assumed.take('pp', options.pp, () => 1)
  const candidates = options.tp === undefined ? tensorRanks(model, cluster, pp, options.dp) : [options.tp]
  const layouts = candidates.map((tp) => ({ tp, pp, dp: options.dp ?? cluster.gpus / (tp * pp), ep: options.ep ?? 1 }))
  for (const name of ['tp', 'dp', 'ep'] as const) if (options[name] === undefined) assumed.names.push(name)
  if (layouts.length === 1) checkRanks(layouts[0]!, model, cluster)
  let best = layouts.at(-1)
  let most = 0
  for (const layout of layouts) {
    const rate = served({ ...request, layout })
    if (rate > most * 1.001) [best, most] = [layout, rate]
  }
  if (best !== undefined) return best
  throw new PlanRefusal(`no tp divides the heads of ${model.name} and ${cluster.gpus} GPUs`, ['give --tp and --dp'])
}

/** Output tokens a second of a layout at the concurrency asked for; 0 when it does not fit. */
function served(request: ServeRequest): number {
  const memory = serveMemory(request)
  if (!memory.fits) return 0
  const { concurrency, layout, outputTokens } = request
  const each = Math.min(concurrency === 'max' ? Infinity : concurrency, memory.maxConcurrency) / layout.dp
  return operate(request, Math.max(1, each)).requestsPerS * layout.dp * outputTokens
}

function tensorRanks(model: Model, { gpus }: Cluster, pp: number, dp: number | undefined): number[] {
  const ranks = Array.from({ length: gpus }, (_, at) => at + 1)
  return ranks.filter((tp) => {
    const uses = tp * pp * (dp ?? 1)
    return tp <= 64 && (dp === undefined ? gpus % uses === 0 : gpus === uses) && dividesHeads(model, tp)
  })
}

const dividesHeads = ({ kinds }: Model, tp: number): boolean =>
  kinds.every(({ attention }) => {
    if (attention.heads % tp !== 0) return false
    // More ranks than key-value heads repeat them, each a whole number of times.
    return attention.kind === 'latent' || attention.kvHeads % tp === 0 || tp % attention.kvHeads === 0
  })

function checkRanks({ tp, pp, dp, ep }: ServeRequest['layout'], model: Model, { gpus }: Cluster): void {
  const rest = gpus / (tp * pp)
  if (!Number.isInteger(rest))
    throw new PlanRefusal(`tp ${tp} · pp ${pp} do not divide ${gpus} GPUs`, [
      `a tp and pp whose product divides ${gpus}`,
    ])
  if (dp !== rest) throw new PlanRefusal(`tp ${tp} · pp ${pp} · dp ${dp} is not ${gpus} GPUs`, [`dp ${rest}`])
  const divisors = Array.from({ length: 128 }, (_, at) => at + 1).filter((rank) => dividesHeads(model, rank))
  if (!dividesHeads(model, tp)) {
    throw new PlanRefusal(`tp ${tp} does not divide the heads of ${model.name}`, [`tp ${divisors.join(', ')}`])
  }
  if (pp > model.layerKinds.length) {
    throw new PlanRefusal(`pp ${pp} is more than the ${model.layerKinds.length} layers of ${model.name}`, [
      `pp of at most ${model.layerKinds.length}`,
    ])
  }
  if (ep === 1) return
  const experts = Math.max(...model.kinds.map(({ mlp }) => (mlp.kind === 'experts' ? mlp.experts : 0)))
  if (experts === 0) throw new PlanRefusal(`${model.name} has no experts for ep ${ep}`, ['ep 1'])
  if (experts % ep !== 0 || (tp * dp) % ep !== 0)
    throw new PlanRefusal(`ep ${ep} must divide the ${experts} experts and tp · dp = ${tp * dp}`, [
      `ep ${Array.from({ length: tp * dp }, (_, at) => at + 1)
        .filter((rank) => experts % rank === 0 && (tp * dp) % rank === 0)
        .join(', ')}`,
    ])
}

/** The request as options again. */
export function serveInputs(request: ServeRequest): Readonly<Record<string, unknown>> & { assumed: readonly string[] } {
  const { model, cluster, layout, priceUsdPerGpuHour, promptTokens, outputTokens, chunkedPrefill } = request
  const { weights, kvDtype, concurrency, staticBatch, memoryFraction, framework, targetP99Ms, arrivalRps } = request
  return {
    model: model.name,
    layers: model.layerKinds.length,
    ...clusterInputs(cluster),
    ...layout,
    weights,
    kvDtype,
    prompt: promptTokens,
    output: outputTokens,
    concurrency,
    staticBatch,
    memoryFraction,
    chunkedPrefill: chunkedPrefill ?? false,
    framework,
    price: priceUsdPerGpuHour,
    targetP99Ms,
    arrivalRps,
    assumed: request.assumed,
  }
}
