/**
 * Seconds of the attention core, softmax(QKᵀ)V, by kernel: one fused flash kernel, or products with the scores in
 * memory between them ("math").
 *
 * The projections around it are ordinary products (`layer-work.ts`).
 */
import type { Attention, Model } from '../types.js'
import { gemmSeconds } from './gemm.js'
import type { Machine } from './machine.js'

/** One rank's share of one micro-batch. */
export interface AttentionWork {
  readonly attention: Attention
  readonly model: Model
  /** Sequences of the micro-batch. */
  readonly sequences: number
  /** Tokens of a whole sequence: what a query may look back on. */
  readonly seq: number
  /** Queries of a sequence that this rank holds: `seq / cp`. */
  readonly queries: number
  readonly tp: number
}

export interface AttentionSeconds {
  readonly forward: number
  readonly backward: number
}

/** Rows of queries and keys that a flash kernel handles at a time; diagonal blocks are computed whole. */
const FLASH_BLOCK = 128

/** Flash kernels are built for these head sizes; others are padded up to the next. */
const FLASH_HEADS = [32, 64, 96, 128, 192, 256]

/** Five products in the backward pass for two in the forward pass (Dao 2023, arXiv:2307.08691, section 2.3). */
const FLASH_BACKWARD = 2.5

/** The backward kernel's rate over the forward one's (ibid., figures 4 and 6; Shah et al. 2024, arXiv:2407.08608). */
const BACKWARD_RATE = 0.85

/** With heads of 64 the exponentials weigh twice as much as with 128 (ibid., figure 5). */
const SMALL_HEAD = 0.85

export function attentionSeconds(
  work: AttentionWork,
  kernel: 'flash' | 'math',
  machine: Machine,
  flash: number,
): AttentionSeconds {
  return kernel === 'flash' ? flashSeconds(work, machine, flash) : mathSeconds(work, machine)
}

/** Widths of the two products: queries with keys, probabilities with values. */
export function headWidths(attention: Attention): { readonly qk: number; readonly v: number } {
  return attention.kind === 'grouped'
    ? { qk: attention.headDim, v: attention.headDim }
    : { qk: attention.qkNopeHeadDim + attention.qkRopeHeadDim, v: attention.vHeadDim }
}

/**
 * Keys a query meets, on average over the sequence. Causal: half of them and half a block of the diagonal. A
 * window: its width, less the ramp at the sequence's start.
 */
export function keysPerQuery(attention: Attention, model: Model, seq: number, block: number): number {
  if (!model.causal) return seq
  const window = attention.kind === 'grouped' ? attention.window : null
  if (window === null || window >= seq) return Math.min(seq, (seq + block) / 2)
  return Math.min(seq, window + block / 2 - (window * window) / (2 * seq))
}

function flashSeconds(
  { attention, model, sequences, seq, queries, tp }: AttentionWork,
  machine: Machine,
  share: number,
): AttentionSeconds {
  const widths = headWidths(attention)
  const padded = padHead(widths.qk) + padHead(widths.v)
  const keys = keysPerQuery(attention, model, seq, FLASH_BLOCK)
  const flops = 2 * sequences * queries * keys * (attention.heads / tp) * padded
  const small = Math.min(widths.qk, widths.v) <= 64 ? SMALL_HEAD : 1
  const forward = flops / (machine.widePeak * share * small)
  const backward = (flops * FLASH_BACKWARD) / (machine.widePeak * share * BACKWARD_RATE * small)
  return { forward, backward }
}

function padHead(width: number): number {
  return FLASH_HEADS.find((size) => size >= width) ?? width
}

/** Share of the vector units' peak that batched products reach there. */
const VECTOR_SHARE = 0.5

/**
 * Operations a second that bound batched products whose heads are no multiple of 16 bytes: they stay off the tensor
 * cores. BigScience (the prequel of BLOOM's training log, "NHEADs") saw 152 TFLOP/s with heads of 216 and 106 with
 * heads of 108 at the same size.
 */
function batchedLimit(attention: Attention, { wideBytes, vectorPeak }: Machine): number {
  const widths = headWidths(attention)
  const aligned = [widths.qk, widths.v].every((width) => (width * wideBytes) % 16 === 0)
  return aligned ? Infinity : vectorPeak * VECTOR_SHARE
}

/**
 * Scores in memory: a product writes them, a fused scale, mask and softmax reads and writes them, dropout does
 * so again with a mask of a byte, a product reads them (Korthikanti et al. 2022, arXiv:2205.05198, section 4.1).
 * Causal masks save nothing here.
 */
function mathSeconds(
  { attention, model, sequences, seq, queries, tp }: AttentionWork,
  machine: Machine,
): AttentionSeconds {
  const widths = headWidths(attention)
  const groups = (sequences * attention.heads) / tp
  const scores = groups * queries * seq
  const bytes = machine.wideBytes
  const format = { rate: machine.wideRate, bytes }
  const limit = batchedLimit(attention, machine)
  const product = (m: number, n: number, k: number): number =>
    Math.max(gemmSeconds({ m, n, k, groups }, format, machine), (2 * m * n * k * groups) / limit)
  const dropout = model.dropout > 0 ? 1 : 0
  const forwardTraffic = scores * (2 * bytes + dropout * (2 * bytes + 1))
  const backwardTraffic = scores * (3 * bytes + dropout * (2 * bytes + 1))
  return {
    forward: product(queries, seq, widths.qk) + product(queries, widths.v, seq) + forwardTraffic / machine.memoryRate,
    backward:
      product(queries, seq, widths.v) +
      product(seq, widths.v, queries) +
      product(queries, widths.qk, seq) +
      product(seq, widths.qk, queries) +
      backwardTraffic / machine.memoryRate,
  }
}
