/**
 * A training request from its options: what is not given gets a default, and the name of every default is noted.
 *
 * Whether a layout is possible is `layout.ts`; which one is best is `search.ts`.
 */
import type { GlobalBatch, ReadOptions } from './options.js'
import { PlanRefusal } from './refusal.js'
import { shippedData } from './shipped-data.js'
import { presetOf } from './time/presets.js'
import { Assumptions, clusterInputs, resolveCluster, resolveModel } from './resolve.js'
import type {
  Cluster,
  Layout,
  MfuConvention,
  Model,
  Numerics,
  Overlap,
  Precision,
  Recompute,
  Sharding,
  Software,
  TrainFramework,
  TrainRequest,
  Work,
} from './types.js'

/** Sequences are this long unless the model is shorter. */
const DEFAULT_SEQ = 4096
/** A step has at least this many tokens unless told otherwise. */
const DEFAULT_STEP_TOKENS = 2 ** 20

interface FrameworkDefaults {
  readonly sharding: Exclude<Sharding['kind'], 'hsdp'>
  readonly gradDtype: Numerics['gradDtype']
  readonly source: string
}

let defaults: Readonly<Record<TrainFramework, FrameworkDefaults>> | undefined

export function frameworkDefaults(framework: TrainFramework): FrameworkDefaults {
  defaults ??= shippedData('training-defaults.json') as Readonly<Record<TrainFramework, FrameworkDefaults>>
  return defaults[framework]
}

/** Throws `PlanRefusal`; `folder` is where relative paths start. */
export function resolveTrain(options: ReadOptions, folder: string): TrainRequest {
  const assumed = new Assumptions()
  const model = resolveModel(options, assumed, folder)
  const cluster = resolveCluster(options, folder)
  const framework = assumed.take<TrainFramework>(
    'framework',
    options.framework as TrainFramework | undefined,
    () => 'neutral',
  )
  const software: Software = { framework, release: options.release ?? null }
  const numerics = resolveNumerics(options, framework, assumed)
  checkPrecision(numerics.precision, cluster)
  const seq = assumed.take('seq', options.seq, () => Math.min(DEFAULT_SEQ, model.maxPositions ?? DEFAULT_SEQ))
  const ranks = resolveRanks(options, cluster, model, assumed)
  const work: Work = {
    seq,
    globalBatch: resolveGlobalBatch(options, cluster, seq, ranks.dp, assumed),
    tokens: options.tokens ?? null,
    priceUsdPerGpuHour: options.price ?? null,
  }
  return {
    kind: 'train',
    id: options.id,
    model,
    trainable: assumed.take('trainable', options.trainable, () => ({ kind: 'all' })),
    cluster,
    work,
    layout: resolveLayout(options, { ranks, numerics, software, work, assumed }),
    given: givenFields(options),
    search: options.search,
    numerics,
    software,
    mfu: resolveMfu(options, assumed),
    assumed: assumed.names,
  }
}

type Ranks = Pick<Layout, 'tp' | 'pp' | 'vpp' | 'dp' | 'cp' | 'ep' | 'etp'>

function resolveRanks(options: ReadOptions, { gpus }: Cluster, model: Model, assumed: Assumptions): Ranks {
  // A search looks for what is not given, so nothing is assumed there.
  const take = (name: 'tp' | 'pp' | 'vpp' | 'cp' | 'ep', fallback: number): number =>
    options.search ? (options[name] ?? fallback) : assumed.take(name, options[name], () => fallback)
  const tp = take('tp', 1)
  const pp = take('pp', options.stageLayers === undefined ? 1 : options.stageLayers.length / (options.vpp ?? 1))
  const [cp, ep, vpp] = [take('cp', 1), take('ep', 1), take('vpp', 1)]
  const rest = gpus / (tp * pp * cp)
  const dp = options.dp ?? Math.max(1, Math.floor(rest))
  const stated = (['tp', 'pp', 'cp', 'dp'] as const).filter((name) => options[name] !== undefined)
  const whole = !options.search || stated.length === 4
  if ((whole && tp * pp * cp * dp !== gpus) || tp * pp * cp * (options.dp ?? 1) > gpus) {
    throw new PlanRefusal(`tp ${tp} · pp ${pp} · cp ${cp} · dp ${dp} = ${tp * pp * cp * dp} is not ${gpus} GPUs`, [
      Number.isInteger(rest) && rest >= 1 ? `dp ${rest}` : `tp · pp · cp must divide ${gpus}`,
    ])
  }
  const hasExperts = model.kinds.some(({ mlp }) => mlp.kind === 'experts')
  const etp = assumed.take('etp', options.etp, () => (hasExperts && ep === 1 ? tp : 1))
  return { tp, pp, vpp, dp, cp, ep, etp }
}

function resolveGlobalBatch(
  options: ReadOptions,
  { gpus }: Cluster,
  seq: number,
  dp: number,
  assumed: Assumptions,
): number {
  if (options.globalBatch !== undefined) return sequencesOf(options.globalBatch, seq)
  const { microBatch, gradAccum } = options
  if (microBatch !== undefined && gradAccum !== undefined) return microBatch * gradAccum * dp
  return assumed.take<number>(
    'globalBatch',
    undefined,
    () => gpus * Math.max(1, Math.ceil(DEFAULT_STEP_TOKENS / seq / gpus)),
  )
}

/** `4Mtok` is 4·2²⁰ tokens where that is whole sequences, as papers mean it, else the nearest to 4·10⁶. */
function sequencesOf(batch: GlobalBatch, seq: number): number {
  if ('sequences' in batch) return batch.sequences
  if (batch.binaryTokens % seq === 0) return batch.binaryTokens / seq
  const sequences = Math.round(batch.tokens / seq)
  if (sequences >= 1) return sequences
  throw new PlanRefusal(`globalBatch: ${batch.tokens} tokens are less than one sequence of ${seq}`, [
    'raise globalBatch or lower seq',
  ])
}

interface LayoutContext {
  readonly ranks: Ranks
  readonly numerics: Numerics
  readonly software: Software
  readonly work: Work
  readonly assumed: Assumptions
}

function resolveLayout(options: ReadOptions, { ranks, numerics, software, work, assumed }: LayoutContext): Layout {
  const preset = frameworkDefaults(software.framework)
  const searched = <T>(name: string, given: T | undefined, fallback: () => T): T =>
    options.search ? (given ?? fallback()) : assumed.take(name, given, fallback)
  return {
    ...ranks,
    sequenceParallel: assumed.take('sequenceParallel', options.sequenceParallel, () =>
      options.search && options.tp === undefined ? true : ranks.tp > 1,
    ),
    schedule: assumed.take<Layout['schedule']>('schedule', options.schedule, () =>
      ranks.vpp > 1 ? 'interleaved' : '1f1b',
    ),
    sharding: searched<Sharding>('sharding', options.sharding, () => ({ kind: preset.sharding })),
    recompute: searched<Recompute>('recompute', options.recompute, () => ({ kind: 'none' })),
    offload: assumed.take<Layout['offload']>('offload', options.offload, () => 'none'),
    overlap: assumed.take<readonly Overlap[]>('overlap', options.overlap, () => presetOf(software, numerics).overlap),
    ...resolveBatches(options, ranks.dp, work.globalBatch, assumed),
    stageLayers: options.stageLayers ?? null,
  }
}

function resolveBatches(
  { microBatch, gradAccum, search }: ReadOptions,
  dp: number,
  globalBatch: number,
  assumed: Assumptions,
): Pick<Layout, 'microBatch' | 'microBatches'> {
  const perReplica = globalBatch / dp
  if (!search && microBatch === undefined && gradAccum === undefined) assumed.names.push('microBatch')
  const size = microBatch ?? (gradAccum === undefined ? 1 : perReplica / gradAccum)
  const batches = gradAccum ?? perReplica / size
  const whole = Number.isInteger(size) && Number.isInteger(batches) && size * batches * dp === globalBatch
  if (whole) return { microBatch: size, microBatches: batches }
  // A search chooses replicas and sizes that divide the batch; what is here is only where it starts.
  if (search && (microBatch === undefined || gradAccum === undefined))
    return { microBatch: Math.max(1, Math.floor(size)), microBatches: Math.max(1, Math.floor(batches)) }
  const unit = dp * (microBatch ?? 1) * (gradAccum ?? 1)
  const near = [Math.floor(globalBatch / unit) * unit, Math.ceil(globalBatch / unit) * unit].filter((n) => n > 0)
  throw new PlanRefusal(
    `globalBatch ${globalBatch} is not dp ${dp} times ${microBatch === undefined ? 'whole micro-batches' : `micro-batches of ${microBatch}`}${gradAccum === undefined ? '' : `, ${gradAccum} of them`}`,
    [`globalBatch ${[...new Set(near)].join(' or ')}`, ...(microBatch === undefined ? [] : ['another microBatch'])],
  )
}

const LAYOUT_OPTIONS = [
  'tp',
  'pp',
  'vpp',
  'dp',
  'cp',
  'ep',
  'etp',
  'sequenceParallel',
  'schedule',
  'sharding',
  'recompute',
  'offload',
  'overlap',
  'microBatch',
  'stageLayers',
] as const satisfies readonly (keyof Layout)[]

function givenFields(options: ReadOptions): readonly (keyof Layout)[] {
  const given: (keyof Layout)[] = LAYOUT_OPTIONS.filter((name) => options[name] !== undefined)
  if (options.gradAccum !== undefined) given.push('microBatches')
  return given
}

function resolveNumerics(options: ReadOptions, framework: TrainFramework, assumed: Assumptions): Numerics {
  const precision = assumed.take<Precision>('precision', options.precision, () => 'bf16')
  return {
    precision,
    gradDtype: assumed.take('gradDtype', options.gradDtype, () => defaultGradDtype(framework, precision)),
    master: assumed.take('master', options.master, () => precision !== 'fp32'),
    optimizer: assumed.take<Numerics['optimizer']>('optimizer', options.optimizer, () => 'adamw'),
    attention: assumed.take<Numerics['attention']>('attention', options.attention, () => 'flash'),
    fusedLoss: assumed.take('fusedLoss', options.fusedLoss, () => false),
    compile: assumed.take('compile', options.compile, () => framework === 'maxtext'),
  }
}

/** Gradients in 16 bits are in the format of the precision; loss scaling keeps FP16's small. */
function defaultGradDtype(framework: TrainFramework, precision: Precision): Numerics['gradDtype'] {
  if (precision === 'fp32') return 'fp32'
  const { gradDtype } = frameworkDefaults(framework)
  return precision === 'fp16' && gradDtype === 'bf16' ? 'fp16' : gradDtype
}

/** MXFP8 and NVFP4 scale blocks in the tensor core, which the chips with FP4 do and Hopper does not. */
function checkPrecision(precision: Precision, { gpu }: Cluster): void {
  const { peakTflops } = gpu
  const has: Readonly<Record<Precision, boolean>> = {
    fp32: true,
    fp16: peakTflops.fp16 !== undefined,
    bf16: peakTflops.bf16 !== undefined,
    fp8: peakTflops.fp8 !== undefined,
    mxfp8: peakTflops.fp8 !== undefined && peakTflops.fp4 !== undefined,
    nvfp4: peakTflops.fp4 !== undefined,
  }
  if (has[precision]) return
  const works = (Object.keys(has) as Precision[]).filter((name) => has[name])
  throw new PlanRefusal(`${gpu.name} has no ${precision}`, [`precision ${works.join(', ')}`])
}

function resolveMfu({ mfu = {} }: ReadOptions, assumed: Assumptions): MfuConvention {
  const { causal, embeddings, peak, ...rest } = mfu
  const faults = Object.keys(rest).map((key) => `there is no '${key}'`)
  if (causal !== undefined && causal !== 'full' && causal !== 'half') faults.push(`causal is full or half`)
  const on = embeddings === true || embeddings === 'on'
  if (embeddings !== undefined && !on && embeddings !== false && embeddings !== 'off')
    faults.push('embeddings is on or off')
  if (peak !== undefined && peak !== null && !(Number(peak) > 0)) faults.push('peak is a number of TFLOP/s above 0')
  if (faults.length > 0) throw new PlanRefusal(`mfu: ${faults.join('; ')}`, ['mfu causal=full,embeddings=on,peak=989'])
  return {
    causal: assumed.take('mfu.causal', causal as 'full' | 'half' | undefined, () => 'full'),
    embeddings: assumed.take('mfu.embeddings', embeddings === undefined ? undefined : on, () => true),
    peakTflops: peak === undefined || peak === null ? null : Number(peak),
  }
}

const named = ({ kind, ...rest }: { readonly kind: string }): string => {
  const number = Object.values(rest).find((value) => typeof value === 'number')
  return number === undefined ? kind : `${kind}:${String(number)}`
}

/** The request as options again: the same answer comes from a batch line that has exactly these. */
export function trainInputs(request: TrainRequest): Readonly<Record<string, unknown>> & { assumed: readonly string[] } {
  const { model, cluster, work, layout, numerics, software, mfu, trainable } = request
  const { microBatches, sharding, recompute, ...plain } = layout
  return {
    model: model.name,
    layers: model.layerKinds.length,
    trainable: named(trainable),
    ...clusterInputs(cluster),
    seq: work.seq,
    globalBatch: work.globalBatch,
    tokens: work.tokens,
    price: work.priceUsdPerGpuHour,
    ...plain,
    gradAccum: microBatches,
    sharding: named(sharding),
    recompute: named(recompute),
    search: request.search,
    ...numerics,
    ...software,
    mfu: { causal: mfu.causal, embeddings: mfu.embeddings ? 'on' : 'off', peak: mfu.peakTflops },
    assumed: request.assumed,
  }
}
