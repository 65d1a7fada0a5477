/**
 * What the backward pass needs: the tensors autograd keeps of one layer for one micro-batch, one by one.
 *
 * The list is that of Korthikanti et al. 2022 (arXiv:2205.05198, §4) taken apart, so that every width, mask and
 * bias counts on its own: with GELU, four times wider MLPs, dropout and unfused attention it sums to their
 * s·b·h·(34 + 5·a·s/h) (tests). Torch's `saved_tensors_hooks` gives the same bytes on the same layer
 * (`golden/activations.json`). When they are freed, and what else lives at the peak, is `memory.ts`.
 */
import type { Attention, ExpertMlp, LayerKind, Model, Mlp } from './types.js'

/** How a framework writes the layer, where that changes what is kept. */
export interface LayerStyle {
  /** SwiGLU as one kernel keeps gate, up and product; written as torch operations it also keeps silu(gate). */
  readonly fusedGlu: boolean
  /** Key and value heads are repeated before attention. */
  readonly repeatedKv: boolean
  /** RMS norms computed in FP32 by torch operations keep an FP32 copy and the normalised value. */
  readonly unfusedNorm: boolean
  /** Linear layers keep their inputs in 8 bits (Transformer Engine). */
  readonly fp8Inputs: boolean
  /** What `selective` recomputes: the attention core, or all but every other product's output (torchtitan). */
  readonly selective: 'core' | 'operations'
}

/** One micro-batch as one GPU sees it. */
export interface MicroBatch {
  /** Tokens of the micro-batch on one context-parallel rank. */
  readonly tokens: number
  /** Keys of a whole sequence. */
  readonly seq: number
  readonly tp: number
  /** Ranks that share what tensor parallelism does not split: tp with sequence parallelism, else 1. */
  readonly sp: number
  readonly etp: number
  readonly attention: 'flash' | 'math'
  /** Bytes of an activation: 2, or 4 in FP32 training. */
  readonly bytes: number
}

/** A kept tensor. `core` ones live inside the attention core. */
export interface SavedTensor {
  readonly name: string
  readonly bytes: number
  readonly core: boolean
}

/** Statistics of a normalisation: FP32, one (RMS) or two (mean and deviation) a token. */
function statisticsBytes(model: Model): number {
  return model.norm === 'layernorm' ? 8 : 4
}

/** Every tensor autograd keeps of a layer when nothing is recomputed. */
export function savedTensors(
  kind: LayerKind,
  model: Model,
  batch: MicroBatch,
  style: LayerStyle,
): readonly SavedTensor[] {
  const list: SavedTensor[] = []
  const keep = (name: string, bytes: number, core = false): void => {
    if (bytes > 0) list.push({ name, bytes, core })
  }
  const shared = batch.tokens / batch.sp
  const stream = shared * model.hidden * batch.bytes
  const input = style.fp8Inputs ? shared * model.hidden : stream
  const norms = normInputs(kind, model)
  const normBytes = style.unfusedNorm && model.norm === 'rmsnorm' ? shared * model.hidden * (4 + batch.bytes) : stream
  for (let norm = 0; norm < norms.inputs; norm++) keep(`norm ${norm + 1} input`, normBytes)
  keep('norm statistics', kind.norms * shared * statisticsBytes(model))
  for (let out = 0; out < norms.outputs; out++) keep(`norm ${out + 1} output`, input)
  keepAttention(keep, kind.attention, model, batch, style)
  if (model.dropout > 0) keep('attention dropout mask', shared * model.hidden)
  keepMlp(keep, kind.mlp, model, batch, style)
  if (model.dropout > 0) keep('MLP dropout mask', shared * model.hidden)
  return list
}

/**
 * Streams kept by the norms as input, and by the linear layers behind them as output.
 *
 * Two of each as a rule. Gemma's norms behind attention and MLP add two inputs, whose outputs go straight into the
 * residual. In parallel blocks all norms read one stream.
 */
function normInputs(kind: LayerKind, model: Model): { readonly inputs: number; readonly outputs: number } {
  if (model.parallelBlocks) return { inputs: 1, outputs: kind.norms }
  return { inputs: kind.norms, outputs: Math.min(kind.norms, 2) }
}

type Keep = (name: string, bytes: number, core?: boolean) => void

function keepAttention(keep: Keep, attention: Attention, model: Model, batch: MicroBatch, style: LayerStyle): void {
  const { tokens, tp, bytes } = batch
  if (attention.kind === 'latent') {
    const { heads, qLoraRank, kvLoraRank, qkNopeHeadDim, qkRopeHeadDim, vHeadDim } = attention
    const shared = tokens / batch.sp
    if (qLoraRank !== null) keep('compressed query and its norm', 2 * shared * qLoraRank * bytes)
    keep('compressed keys and their norm', shared * (2 * kvLoraRank + qkRopeHeadDim) * bytes)
    const width = (qkNopeHeadDim + qkRopeHeadDim) * (heads / tp)
    keep('queries', tokens * width * bytes)
    keep('keys', tokens * width * bytes)
    keep('values', tokens * vHeadDim * (heads / tp) * bytes)
    keepCore(keep, heads / tp, vHeadDim, model, batch)
    return
  }
  const { heads, headDim, qkNorm } = attention
  const kvHeads = Math.max(1, attention.kvHeads / tp)
  const queryBytes = tokens * (heads / tp) * headDim * bytes
  const keyBytes = tokens * kvHeads * headDim * bytes
  if (qkNorm !== 'none') keep('queries and keys before their norm', queryBytes + keyBytes)
  keep('queries', queryBytes)
  keep('keys', style.repeatedKv ? queryBytes : keyBytes)
  keep('values', style.repeatedKv ? queryBytes : keyBytes)
  keepCore(keep, heads / tp, headDim, model, batch, style)
}

/** Inside the core, and the output projection's input, which flash attention keeps anyway. */
function keepCore(keep: Keep, heads: number, vDim: number, model: Model, batch: MicroBatch, style?: LayerStyle): void {
  const { tokens, seq, bytes, attention } = batch
  if (attention === 'flash') {
    keep('log-sum-exp', tokens * heads * 4, true) // FP32, one a query (Dao 2023, arXiv:2307.08691, §3.1)
  } else {
    const scores = tokens * seq * heads
    keep('attention weights', scores * bytes, true)
    if (model.dropout > 0) {
      keep('attention weights dropout mask', scores, true)
      keep('attention weights after dropout', scores * bytes, true)
    }
  }
  // In 8-bit training the projection keeps a quantised copy beside the output flash attention needs.
  keep('attention output', tokens * heads * vDim * bytes)
  if (style?.fp8Inputs === true) keep('attention output in 8 bits', tokens * heads * vDim)
}

function keepMlp(keep: Keep, mlp: Mlp, model: Model, batch: MicroBatch, style: LayerStyle): void {
  if (mlp.kind === 'dense') {
    keepPair(keep, '', (batch.tokens * mlp.ffn) / batch.tp, mlp.gated, batch, style)
    return
  }
  keepExperts(keep, mlp, model, batch, style)
}

/** What lies between the matrices of an MLP, for `elements` of its inner width. */
function keepPair(
  keep: Keep,
  prefix: string,
  elements: number,
  gated: boolean,
  batch: MicroBatch,
  style: LayerStyle,
): void {
  const { bytes } = batch
  const last = style.fp8Inputs ? 1 : bytes
  if (gated) {
    keep(`${prefix}gate`, elements * bytes)
    keep(`${prefix}up`, elements * bytes)
    if (!style.fusedGlu) keep(`${prefix}activated gate`, elements * bytes)
  } else keep(`${prefix}activation input`, elements * bytes)
  keep(`${prefix}down input`, elements * last)
}

/**
 * Routed experts, spread evenly: a rank's share of the tokens times `topK`, whichever rank computes them.
 *
 * Dispatched tokens are kept as the experts' input, and the experts' output for the gradient of the router's weight.
 */
function keepExperts(keep: Keep, mlp: ExpertMlp, model: Model, batch: MicroBatch, style: LayerStyle): void {
  const { tokens, tp, etp, bytes } = batch
  const own = tokens / Math.max(tp, 1)
  const routed = own * mlp.topK
  keep('router logits and probabilities', own * mlp.experts * 8)
  keep('dispatched tokens', routed * etp * model.hidden * (style.fp8Inputs ? 1 : bytes))
  keepPair(keep, 'expert ', routed * mlp.ffn, mlp.gated, batch, style)
  keep('expert output', routed * model.hidden * bytes)
  if (mlp.sharedFfn > 0) keepPair(keep, 'shared ', (tokens * mlp.sharedFfn) / tp, mlp.gated, batch, style)
}

/** Bytes of one layer's activations for one micro-batch, by what is recomputed. */
export interface LayerActivations {
  /** Kept from forward to backward. */
  readonly none: number
  readonly selective: number
  /** The layer's input alone. */
  readonly full: number
  /** Extra while the layer's own backward runs, when nothing was recomputed. */
  readonly backward: number
}

export function layerActivations(
  kind: LayerKind,
  model: Model,
  batch: MicroBatch,
  style: LayerStyle,
): LayerActivations {
  let [none, core] = [0, 0]
  for (const tensor of savedTensors(kind, model, batch, style)) {
    none += tensor.bytes
    if (tensor.core) core += tensor.bytes
  }
  const full = (batch.tokens / batch.sp) * model.hidden * batch.bytes
  const selective = style.selective === 'core' ? none - core : full + operationOutputs(kind, model, batch)
  return { none, selective, full, backward: backwardBytes(kind, model, batch) }
}

/**
 * Torchtitan's selective policy: outputs of attention and of every other matrix product are kept, in the order
 * they run (torchtitan/distributed/activation_checkpoint.py: `_custom_policy`, "every second mm").
 */
function operationOutputs(kind: LayerKind, model: Model, batch: MicroBatch): number {
  const { tokens, tp, bytes } = batch
  const outputs: number[] = []
  let core = 0
  if (kind.attention.kind === 'grouped') {
    const { heads, kvHeads, headDim } = kind.attention
    outputs.push(heads * headDim, kvHeads * headDim, kvHeads * headDim)
    core = heads * headDim
  } else {
    const { heads, qLoraRank, kvLoraRank, qkNopeHeadDim, qkRopeHeadDim, vHeadDim } = kind.attention
    if (qLoraRank !== null) outputs.push(qLoraRank)
    outputs.push(
      heads * (qkNopeHeadDim + qkRopeHeadDim),
      kvLoraRank + qkRopeHeadDim,
      heads * (qkNopeHeadDim + vHeadDim),
    )
    core = heads * vHeadDim
  }
  outputs.push(model.hidden)
  const { mlp } = kind
  // Grouped products of routed experts are all kept; only plain ones are counted off.
  const ffn = mlp.kind === 'dense' ? mlp.ffn : mlp.sharedFfn
  if (ffn > 0) outputs.push(...(mlp.gated ? [ffn, ffn] : [ffn]), model.hidden)
  const kept = outputs.filter((_, index) => index % 2 === 0).reduce((sum, width) => sum + width, 0)
  const routed = mlp.kind === 'experts' ? mlp.topK * (mlp.ffn * (mlp.gated ? 2 : 1) + 2 * model.hidden) : 0
  const statistics = (tokens * kind.attention.heads * 4) / tp
  return (tokens * (kept + core + routed) * bytes) / tp + statistics
}

/**
 * Gradients alive at the worst moment of a layer's backward pass, less the kept tensors already freed by then.
 *
 * In the MLP that is the gradient of the stream and of what enters the activation; in unfused attention two
 * matrices of scores against an MLP already freed; in flash attention an FP32 accumulator of the queries' gradient.
 */
function backwardBytes(kind: LayerKind, model: Model, batch: MicroBatch): number {
  const { tokens, tp, sp, seq, bytes } = batch
  const stream = (tokens / sp) * model.hidden * bytes
  const { mlp } = kind
  const inner = mlp.kind === 'dense' ? (tokens * mlp.ffn) / tp : (tokens * (mlp.topK * mlp.ffn + mlp.sharedFfn)) / tp
  const mlpGradients = inner * (mlp.gated ? 2 : 1) * bytes
  const freed = inner * (mlp.gated ? 3 : 2) * bytes
  const heads = kind.attention.heads / tp
  const width = kind.attention.kind === 'grouped' ? kind.attention.headDim : kind.attention.vHeadDim
  const core = batch.attention === 'math' ? 2 * tokens * seq * heads * bytes : tokens * heads * width * (4 + 3 * bytes)
  return 2 * stream + Math.max(mlpGradients, core - freed)
}
