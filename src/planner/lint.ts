/**
 * Dimensions of a model that waste the hardware, each with what it costs: the time of one layer (or of the output
 * projection) is priced as it is and with the dimension mended, by the same formulas as a training step.
 *
 * Nothing here changes a model: a finding says what a neighbouring dimension would do.
 */
import { type ReadOptions, readOptions } from './options.js'
import { PlanRefusal } from './refusal.js'
import type { LintOptions } from './request-options.js'
import { Assumptions, resolveCluster, resolveModel } from './resolve.js'
import { attentionSeconds } from './time/attention-time.js'
import { type Architecture, shippedCalibration } from './time/calibration.js'
import { gemmFlops, gemmSeconds } from './time/gemm.js'
import { layerWork } from './time/layer-work.js'
import { type Machine, machineOf } from './time/machine.js'
import type { LayerKind, Model, PlanStatus } from './types.js'

export interface LintFinding {
  /** The dimension, as in `ffn` or `heads`. */
  readonly field: string
  readonly value: number
  readonly problem: string
  readonly suggestion: string
  /** What the finding costs: `before` as it is, `after` with the suggestion. */
  readonly effect: { readonly of: string; readonly unit: string; readonly before: number; readonly after: number }
  readonly source: string
}

export interface LintReport {
  readonly schema: 'gristmill.plan.lint/1'
  readonly id: string | null
  readonly status: Exclude<PlanStatus, 'does-not-fit'>
  readonly reason: string | null
  readonly suggestions: readonly string[]
  readonly inputs: Readonly<Record<string, unknown>> & { readonly assumed: readonly string[] }
  /** Largest gain first. */
  readonly findings: readonly LintFinding[]
}

/** What findings are priced on. */
interface Subject {
  readonly model: Model
  readonly kind: LayerKind
  readonly machine: Machine
  readonly architecture: Architecture
  /** Tokens of a micro-batch, in sequences of `seq`. */
  readonly microBatch: number
  readonly seq: number
  readonly tp: number
}

/** Losses below this are within what the formulas can tell. */
const LEAST_GAIN = 0.01

/** Never throws for what a request says; see `status`. */
export function lintModel(options: LintOptions, settings: { readonly folder?: string } = {}): LintReport {
  const head = { schema: 'gristmill.plan.lint/1', id: null } as const
  try {
    const read = readOptions(options as Readonly<Record<string, unknown>>, 'lint')
    return { ...head, status: 'ok', reason: null, suggestions: [], ...findingsOf(read, settings.folder ?? '.') }
  } catch (error) {
    if (!(error instanceof PlanRefusal)) throw error
    const { reason, suggestions } = error
    return { ...head, status: 'refused', reason, suggestions, inputs: { ...options, assumed: [] }, findings: [] }
  }
}

function findingsOf(options: ReadOptions, folder: string): Pick<LintReport, 'inputs' | 'findings'> {
  const assumed = new Assumptions()
  const model = resolveModel(options, assumed, folder)
  const gpus = assumed.take('gpus', options.gpus, () => '1xH100-SXM')
  const cluster = resolveCluster({ ...options, gpus }, folder)
  const precision = assumed.take('precision', options.precision, () =>
    cluster.gpu.peakTflops.bf16 === undefined ? ('fp16' as const) : ('bf16' as const),
  )
  const seq = assumed.take('seq', options.seq, () => Math.min(4096, model.maxPositions ?? 4096))
  const microBatch = assumed.take('microBatch', options.microBatch, () => 1)
  const tp = assumed.take('tp', options.tp, () => 1)
  const machine = machineOf(cluster, precision, shippedCalibration())
  const found = model.kinds.flatMap((kind) => {
    const subject = { model, kind, machine, architecture: machine.architecture, microBatch, seq, tp }
    return RULES.flatMap((rule) => rule(subject))
  })
  const inputs = { model: model.name, gpus: `${cluster.gpus}x${cluster.gpu.name}`, precision, seq, microBatch, tp }
  return { inputs: { ...inputs, assumed: assumed.names }, findings: ranked(found) }
}

/** Kinds of layers may find the same; the one that costs most stays. */
function ranked(found: readonly LintFinding[]): LintFinding[] {
  const gain = ({ effect: { before, after } }: LintFinding): number =>
    Math.abs(after - before) / Math.max(before, after)
  const best = new Map<string, LintFinding>()
  for (const finding of found) {
    const key = `${finding.field} ${finding.problem}`
    const known = best.get(key)
    if (known === undefined || gain(finding) > gain(known)) best.set(key, finding)
  }
  return [...best.values()].sort((a, b) => gain(b) - gain(a))
}

type Rule = (subject: Subject) => LintFinding[]

/** TFLOP/s of one layer's forward and backward products and attention, as a training step would reach them. */
export function layerTflops({ model, kind, machine, architecture, microBatch, seq, tp }: Subject): number {
  const work = layerWork(kind, model, {
    tokens: microBatch * seq,
    layout: { tp, ep: 1, etp: tp, sequenceParallel: false },
    fusion: 'fused',
    bytes: machine.wideBytes,
    conversion: 'none',
  })
  const format = { rate: machine.gemmRate, bytes: machine.wideBytes }
  const { flash } = shippedCalibration().shares[architecture]
  const attention = attentionSeconds(
    { attention: kind.attention, model, sequences: microBatch, seq, queries: seq, tp },
    'flash',
    machine,
    flash.portable,
  )
  const products = work.linears.reduce((sum, { m, n, k, groups }) => {
    const one = (a: number, b: number, c: number): number => gemmSeconds({ m: a, n: b, k: c, groups }, format, machine)
    return sum + one(m, n, k) + one(m, k, n) + one(k, n, m)
  }, 0)
  const widths =
    kind.attention.kind === 'grouped'
      ? 2 * kind.attention.headDim
      : kind.attention.qkNopeHeadDim + kind.attention.qkRopeHeadDim + kind.attention.vHeadDim
  // Three times the forward pass, half of it masked; flash kernels do 3.5 times, which is theirs to pay.
  const attended = 3 * microBatch * seq * seq * (kind.attention.heads / tp) * widths * (model.causal ? 1 : 2)
  const flops = work.linears.reduce((sum, linear) => sum + 3 * gemmFlops(linear), 0) + attended
  return flops / (products + attention.forward + attention.backward) / 1e12
}

/** A finding about one layer, when mending it gains enough. */
function priced(
  subject: Subject,
  mended: LayerKind,
  finding: Omit<LintFinding, 'effect'>,
  least = LEAST_GAIN,
): LintFinding[] {
  const before = layerTflops(subject)
  const after = layerTflops({ ...subject, kind: mended })
  if (after / before - 1 < least) return []
  return [{ ...finding, effect: { of: 'one layer, forward and backward', unit: 'TFLOP/s', before, after } }]
}

const nearestMultiple = (value: number, of: number): number => Math.max(of, Math.round(value / of) * of)

const TENSOR_CORES = 'NVIDIA, Matrix Multiplication Background User Guide §3: rows of a multiple of 16 bytes, best 128'

/** Heads whose size flash kernels have to pad, or that fill only half of a tile. */
const headSize: Rule = (subject) => {
  const { attention } = subject.kind
  if (attention.kind !== 'grouped' || attention.headDim % 64 === 0) return []
  const width = attention.heads * attention.headDim
  const headDim = [128, 64].find((size) => width % size === 0 && size >= attention.headDim) ?? 128
  const heads = Math.max(1, Math.round(width / headDim))
  // The key-value heads keep their share.
  const kvHeads = Math.max(1, Math.round((attention.kvHeads * heads) / attention.heads))
  return priced(
    subject,
    { ...subject.kind, attention: { ...attention, heads, kvHeads, headDim } },
    {
      field: 'headDim',
      value: attention.headDim,
      problem: `heads of ${attention.headDim} are no multiple of 64; kernels pad them`,
      suggestion: `heads of ${headDim}: ${heads} heads in place of ${attention.heads}`,
      source:
        'FlashAttention-2, arXiv:2307.08691 (kernels for 64, 96, 128, …); Anthony et al., arXiv:2401.14489 §V: heads of a multiple of 64',
    },
  )
}

/** Tensor parallelism inside a machine of eight splits heads and key-value heads over 2, 4 and 8 ranks. */
const headSplit: Rule = ({ kind, tp }) => {
  const { heads } = kind.attention
  const largest = [8, 4, 2].find((ranks) => heads % ranks === 0) ?? 1
  if (largest === 8 || tp > 1 || heads < 8) return []
  const near = nearestMultiple(heads, 8)
  return [
    {
      field: 'heads',
      value: heads,
      problem: `${heads} heads split over at most ${largest} tensor parallel ranks of the 8 in a machine`,
      suggestion: `${near} heads`,
      effect: { of: 'tensor parallel ranks', unit: 'ranks', before: largest, after: 8 },
      source: 'Megatron-LM, arXiv:1909.08053 §3: heads are split over ranks',
    },
  ]
}

const feedForward: Rule = (subject) => {
  const { kind, tp, machine } = subject
  const { mlp } = kind
  const unit = 128 / machine.wideBytes
  const local = mlp.ffn / tp
  if (local % unit === 0) return []
  const near = nearestMultiple(mlp.ffn, unit * tp)
  return priced(
    subject,
    { ...kind, mlp: { ...mlp, ffn: near } },
    {
      field: mlp.kind === 'experts' ? 'moeFfn' : 'ffn',
      value: mlp.ffn,
      problem: `${local === mlp.ffn ? mlp.ffn : `${mlp.ffn} over ${tp} ranks, ${local},`} is no multiple of ${unit}`,
      suggestion: `${near}`,
      source: `${TENSOR_CORES}; Bekman, Machine Learning Engineering, SwiGLU-based MLP: 273 against 396 TFLOP/s on H100`,
    },
    0.005,
  )
}

const hiddenSize: Rule = ({ model, machine }) => {
  const unit = 128 / machine.wideBytes
  if (model.hidden % unit === 0) return []
  const near = nearestMultiple(model.hidden, unit)
  const rate = (hidden: number): number => {
    const product = { m: 8192, n: 4 * hidden, k: hidden, groups: 1 }
    const format = { rate: machine.gemmRate, bytes: machine.wideBytes }
    return gemmFlops(product) / gemmSeconds(product, format, machine) / 1e12
  }
  return [
    {
      field: 'hidden',
      value: model.hidden,
      problem: `${model.hidden} is no multiple of ${unit}`,
      suggestion: `${near}`,
      effect: { of: 'a product of the hidden size', unit: 'TFLOP/s', before: rate(model.hidden), after: rate(near) },
      source: TENSOR_CORES,
    },
  ]
}

/** The output projection as the model states it; frameworks that pad it avoid this by themselves. */
const vocabulary: Rule = ({ model, machine, microBatch, seq, tp }) => {
  const unit = 64 * tp
  if (model.vocab % unit === 0) return []
  const padded = Math.ceil(model.vocab / unit) * unit
  const milliseconds = (vocab: number): number => {
    const format = { rate: machine.wideRate, bytes: machine.wideBytes }
    const [m, n, k] = [microBatch * seq, Math.ceil(vocab / tp), model.hidden]
    const one = (a: number, b: number, c: number): number =>
      gemmSeconds({ m: a, n: b, k: c, groups: 1 }, format, machine)
    return (one(m, n, k) + one(m, k, n) + one(k, n, m)) * 1e3
  }
  const [before, after] = [milliseconds(model.vocab), milliseconds(padded)]
  if (before / after - 1 < LEAST_GAIN) return []
  return [
    {
      field: 'vocab',
      value: model.vocab,
      problem: `${model.vocab} is no multiple of ${unit}${tp === 1 ? '' : ` (64 for each of ${tp} ranks)`}`,
      suggestion: `pad to ${padded}`,
      effect: { of: 'output projection of a micro-batch, forward and backward', unit: 'ms', before, after },
      source: `${TENSOR_CORES}; Megatron-LM's make-vocab-size-divisible-by 128`,
    },
  ]
}

/** Tiles of the feed forward product that leave a wave of compute units mostly empty. */
const waves: Rule = (subject) => {
  const { kind, tp, microBatch, seq, machine } = subject
  const { mlp } = kind
  if (mlp.kind !== 'dense' || machine.architecture === 'tpu') return []
  const unit = 256 * tp
  const near = [-4, -3, -2, -1, 1, 2, 3, 4]
    .map((step) => Math.round(mlp.ffn / unit) * unit + step * unit)
    .filter((ffn) => ffn > 0 && Math.abs(ffn / mlp.ffn - 1) <= 0.1)
  const rates = near.map((ffn) => layerTflops({ ...subject, kind: { ...kind, mlp: { ...mlp, ffn } } }))
  const best = near[rates.indexOf(Math.max(...rates))]
  if (best === undefined || mlp.ffn % (64 * tp) !== 0) return []
  const tiles = Math.ceil((microBatch * seq) / 128) * Math.ceil(((mlp.gated ? 2 : 1) * mlp.ffn) / tp / 256)
  const rounds = tiles / machine.computeUnits
  return priced(
    subject,
    { ...kind, mlp: { ...mlp, ffn: best } },
    {
      field: 'ffn',
      value: mlp.ffn,
      problem: `${tiles} tiles over ${machine.computeUnits} compute units are ${rounds.toFixed(2)} waves; the last is not full`,
      suggestion: `${best}`,
      source: 'NVIDIA, Matrix Multiplication Background User Guide §4: tile and wave quantisation',
    },
    0.02,
  )
}

/** Experts whose share of a micro-batch is too small to fill a tile. */
const expertRows: Rule = (subject) => {
  const { kind, microBatch, seq } = subject
  const { mlp } = kind
  if (mlp.kind !== 'experts') return []
  const rows = (microBatch * seq * mlp.topK) / mlp.experts
  if (rows >= 256) return []
  const factor = Math.ceil(256 / rows)
  const before = layerTflops(subject)
  const after = layerTflops({ ...subject, microBatch: microBatch * factor })
  if (after / before - 1 < LEAST_GAIN) return []
  return [
    {
      field: 'microBatch',
      value: microBatch,
      problem: `an expert sees ${Math.round(rows)} tokens of a micro-batch; tiles have 128 to 256 rows`,
      suggestion: `micro-batches of ${microBatch * factor}, or expert parallel ranks that gather as many`,
      effect: { of: 'one layer, forward and backward', unit: 'TFLOP/s', before, after },
      source: 'MegaBlocks, arXiv:2211.15841 §3: arithmetic of an expert follows from its rows',
    },
  ]
}

const RULES: readonly Rule[] = [headSize, headSplit, feedForward, hiddenSize, vocabulary, waves, expertRows]
