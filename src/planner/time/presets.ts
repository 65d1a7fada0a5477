/**
 * What each training framework does by itself: which kernels it has, what it fuses, what it hides.
 *
 * Facts about software, by release where they changed; how well it does them is `calibration.ts`. A layout's
 * `overlap` is the user's when stated, otherwise the preset's.
 */
import type { Numerics, Overlap, Software, TrainFramework } from '../types.js'
import type { FlashKernel } from './calibration.js'
import type { Fusion } from './layer-work.js'

export interface Preset {
  readonly fusion: Fusion
  readonly flash: FlashKernel
  readonly overlap: readonly Overlap[]
  /** Selective recomputation: the attention core alone, or cheap operations and every second product. */
  readonly selective: 'core' | 'operations'
  /** Dispatch sends one copy of a token to a node, not one to each of its experts there (DeepEP, HybridEP). */
  readonly dedupedDispatch: boolean
  /** Whole layers are captured in graphs: the host never limits. */
  readonly graphs: boolean
  /** Routing and permutation of tokens are fused kernels. */
  readonly fusedExperts: boolean
  /** Gradients are added to their FP32 sums inside the weight products. */
  readonly fusedAccumulation: boolean
}

const BASE: Readonly<Record<TrainFramework, Preset>> = {
  neutral: preset('fused', 'portable', ['dp', 'cp']),
  // Megatron-LM and NeMo: fused kernels; attention from cuDNN through Transformer Engine from 2024 on.
  megatron: preset('fused', 'current', ['dp', 'cp', 'tp']),
  deepspeed: preset('eager', 'portable', ['dp']),
  fsdp: preset('eager', 'portable', ['dp']),
  torchtitan: { ...preset('eager', 'portable', ['dp', 'cp']), selective: 'operations' },
  nanotron: preset('fused', 'portable', ['dp']),
  // XLA fuses what is elementwise and schedules collectives asynchronously.
  maxtext: {
    ...preset('fused', 'current', ['dp', 'cp', 'tp']),
    graphs: true,
    fusedExperts: true,
    fusedAccumulation: true,
  },
}

function preset(fusion: Fusion, flash: Preset['flash'], overlap: readonly Overlap[]): Preset {
  return {
    fusion,
    flash,
    overlap,
    selective: 'core',
    dedupedDispatch: false,
    graphs: false,
    fusedExperts: false,
    fusedAccumulation: false,
  }
}

/** Newest release assumed when none is stated. */
const NEWEST = '9999.12'

export function presetOf({ framework, release }: Software, numerics: Pick<Numerics, 'compile'>): Preset {
  const base = BASE[framework]
  const at = release ?? NEWEST
  const compiled = {
    ...(numerics.compile ? ({ fusion: 'fused' } as const) : {}),
    // FlashAttention-2 appeared in July 2023.
    ...(at < '2023.08' ? ({ flash: 'first' } as const) : {}),
  }
  if (framework !== 'megatron') return { ...base, ...compiled }
  return {
    ...base,
    ...compiled,
    // Before Transformer Engine had cuDNN's kernels, and before communication was split and hidden in products.
    flash: at < '2023.08' ? 'first' : at < '2024.01' ? 'portable' : 'current',
    overlap: at < '2023.03' ? [] : base.overlap,
    dedupedDispatch: at >= '2025.11',
    fusedExperts: at >= '2026.06',
    fusedAccumulation: true,
  }
}
