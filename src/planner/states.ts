/**
 * Bytes of weights, gradients and optimizer states for one parameter, by numerics and framework.
 *
 * Mixed precision after Micikevicius et al. 2018 (arXiv:1710.03740, §3.1) keeps 16-bit weights and an FP32 master
 * copy; with Adam that is the 16 bytes of ZeRO (Rajbhandari et al. 2020, arXiv:1910.02054, §3.1): 2 + 2 + 12.
 * How they are divided over ranks is `memory.ts`.
 */
import type { LayerStyle } from './activations.js'
import type { Numerics, OptimizerName, Software, TrainFramework } from './types.js'

/** Conventions of a framework that change memory. Each is the framework's own default. */
export interface FrameworkMemory {
  /**
   * The sharded or resident weights are FP32 and 16-bit ones are made for use (FSDP mixed precision, autocast), so
   * that there is no master copy beside them.
   */
  readonly fp32Weights: boolean
  /** Gradients live in a buffer from start to end; otherwise they come into being during backward. */
  readonly gradBuffer: boolean
  /** 16-bit gradients that are kept beside FP32 ones they are added to. */
  readonly halfGrads: boolean
  /** FP32 temporaries of the optimizer, in bytes a parameter: the foreach implementation of torch makes one copy. */
  readonly stepBytes: number
  readonly style: Pick<LayerStyle, 'fusedGlu' | 'repeatedKv' | 'unfusedNorm' | 'selective'>
  /** Bytes for each logit at the peak of the loss. */
  readonly logitBytes: number
}

const FUSED = { fusedGlu: true, repeatedKv: false, unfusedNorm: false, selective: 'core' } as const
const PLAIN = { fp32Weights: false, gradBuffer: false, halfGrads: false, stepBytes: 0 } as const
const SHARDED = { fp32Weights: true } as const
const EAGER = { fusedGlu: false, repeatedKv: false, unfusedNorm: false, selective: 'core' } as const

/**
 * Logits at their peak, in bytes each: torch's cross entropy holds the FP32 log-softmax, its gradient and the
 * gradient of the loss behind it, 4 + 4 + 4; a copy of the 16-bit logits is kept by those who return them (2).
 * Megatron's vocabulary-parallel loss works in place: 16-bit logits, their FP32 copy and its exponentials, 2 + 4 + 4.
 */
const FRAMEWORKS: Readonly<Record<TrainFramework, FrameworkMemory>> = {
  neutral: { ...PLAIN, style: EAGER, logitBytes: 12 },
  megatron: { ...PLAIN, gradBuffer: true, style: FUSED, logitBytes: 10 },
  // Models of transformers, whose norms are written as torch operations and whose loss returns the logits.
  // Its BF16 optimizer adds 16-bit gradients to FP32 ones that are kept beside them (runtime/bf16_optimizer.py).
  deepspeed: { ...PLAIN, gradBuffer: true, halfGrads: true, style: { ...EAGER, unfusedNorm: true }, logitBytes: 14 },
  fsdp: { ...PLAIN, ...SHARDED, stepBytes: 4, style: { ...EAGER, unfusedNorm: true }, logitBytes: 14 },
  torchtitan: {
    ...PLAIN,
    ...SHARDED,
    style: { ...EAGER, repeatedKv: true, selective: 'operations' },
    logitBytes: 12,
  },
  // 20 bytes a parameter with AdamW: The Ultra-Scale Playbook (Hugging Face 2025), "Memory for weights, grads and
  // optimizer states", with FP32 accumulation of gradients. Its loss works in place like Megatron's.
  nanotron: { ...PLAIN, gradBuffer: true, halfGrads: true, style: EAGER, logitBytes: 10 },
  maxtext: { ...PLAIN, ...SHARDED, style: { ...FUSED, selective: 'operations' }, logitBytes: 10 },
}

export function frameworkMemory({ framework }: Software): FrameworkMemory {
  return FRAMEWORKS[framework]
}

/** How the layers of a request are written. */
export function layerStyle(numerics: Numerics, software: Software): LayerStyle {
  const { style } = frameworkMemory(software)
  const eightBit = numerics.precision === 'fp8' || numerics.precision === 'mxfp8' || numerics.precision === 'nvfp4'
  return {
    ...style,
    fusedGlu: style.fusedGlu || numerics.compile,
    repeatedKv: style.repeatedKv && !numerics.compile,
    unfusedNorm: style.unfusedNorm && !numerics.compile,
    // Torch-native 8-bit training casts inputs anew in backward and keeps them in 16 bits.
    fp8Inputs: eightBit && software.framework === 'megatron',
  }
}

export interface StateBytes {
  /** What is kept of the weights between steps. */
  readonly weights: number
  /** What a forward pass reads, where that differs: an unsharded 16-bit copy. */
  readonly compute: number
  readonly grads: number
  readonly master: number
}

/** Bytes for each trained parameter, optimizer states apart. */
export function stateBytes(numerics: Numerics, software: Software): StateBytes {
  const half = frameworkMemory(software).halfGrads && numerics.precision !== 'fp32' ? 2 : 0
  const grads = numerics.gradDtype === 'fp32' ? 4 + half : 2
  if (numerics.precision === 'fp32') return { weights: 4, compute: 4, grads, master: 0 }
  if (frameworkMemory(software).fp32Weights && numerics.master) return { weights: 4, compute: 2, grads, master: 0 }
  return { weights: 2, compute: 2, grads, master: numerics.master ? 4 : 0 }
}

/** Parameters of one kind on one GPU, and the sum of rows and columns of their matrices. */
export interface OptimizedParameters {
  /** Matrices inside the layers. */
  readonly matrices: number
  /** Embeddings, output projection, norms and biases. */
  readonly others: number
  /** Sum of inputs and outputs over all matrices: what a factored second moment keeps. */
  readonly factors: number
}

/**
 * Bytes of optimizer states.
 *
 * AdamW two moments (Loshchilov & Hutter 2019, arXiv:1711.05101), LAMB the same (You et al. 2020, arXiv:1904.00962);
 * Lion one (Chen et al. 2023, arXiv:2302.06675), SGD one; 8-bit Adam two bytes and an FP32 scale for each block of
 * 256 (bitsandbytes; blocks of 2048 in Dettmers et al. 2022, arXiv:2110.02861); Adafactor rows and columns (Shazeer &
 * Stern 2018, arXiv:1804.04235, §4); Muon one for matrices, Adam's two for the rest (Jordan 2024). A moment is FP32,
 * or of the weights' format when weights are trained in 16 bits without a master copy.
 */
export function optimizerBytes(optimizer: OptimizerName, parameters: OptimizedParameters, moment: number): number {
  const { matrices, others, factors } = parameters
  const all = matrices + others
  switch (optimizer) {
    case 'adamw':
    case 'lamb':
      return 2 * moment * all
    case 'adam8bit':
      return 2 * (1 + 4 / 256) * all
    case 'lion':
    case 'sgd-momentum':
      return moment * all
    case 'adafactor':
      return 4 * factors
    case 'muon':
      return moment * matrices + 2 * moment * others
  }
}

export function momentBytes(numerics: Numerics): number {
  return numerics.precision === 'fp32' || numerics.master ? 4 : 2
}

/**
 * 4-bit NormalFloat with quantised constants: 4 bits and 0.127 (Dettmers et al. 2023, arXiv:2305.14314, §3).
 */
export const NF4_BYTES = (4 + 0.127) / 8
