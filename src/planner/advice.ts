/**
 * Advice for a training run: each item is one change, priced by the same formulas, and is given only when it applies
 * to the request and moves its number enough to matter.
 */
import { checkLayout } from './layout.js'
import { trainMemory } from './memory.js'
import { shippedCalibration } from './time/calibration.js'
import { stepTime } from './time/step-time.js'
import type { Advice, Layout, Numerics, TrainMemory, TrainRequest, TrainTime } from './types.js'

interface Priced {
  readonly time: TrainTime
  readonly memory: TrainMemory
}

type Adviser = (request: TrainRequest, priced: Priced) => Advice[]

/** Changes below this share of a number are within the error of the formulas. */
const LEAST_GAIN = 0.02
/** Memory above this share of the capacity is worth saving. */
const TIGHT = 0.85

export function trainAdvice(request: TrainRequest, priced: Priced): Advice[] {
  return ADVISERS.flatMap((adviser) => adviser(request, priced))
}

const seconds = (value: number): string => `${value.toPrecision(3)} s`
const gib = (value: number): string => `${value.toFixed(1)} GiB`
const stepSeconds = (request: TrainRequest): number => stepTime(request, request.layout, shippedCalibration()).stepS
const isTight = ({ capacityGiB, deviceGiB }: TrainMemory): boolean => deviceGiB.p50 > TIGHT * capacityGiB
const withLayout = (request: TrainRequest, change: Partial<Layout>): TrainRequest => ({
  ...request,
  layout: { ...request.layout, ...change },
})
const withNumerics = (request: TrainRequest, change: Partial<Numerics>): TrainRequest => ({
  ...request,
  numerics: { ...request.numerics, ...change },
})

/** A change that makes a step faster and still fits. */
function faster(changed: TrainRequest, { time }: Priced, advice: Omit<Advice, 'effect'>): Advice[] {
  if (checkLayout(changed) !== null || !trainMemory(changed).fits) return []
  const [before, after] = [time.stepS.p50, stepSeconds(changed)]
  if (after > before * (1 - LEAST_GAIN)) return []
  return [{ ...advice, effect: `time of a step ${seconds(before)} → ${seconds(after)}` }]
}

/** A change that saves memory, with what it costs in time. */
function smaller(changed: TrainRequest, { memory, time }: Priced, advice: Omit<Advice, 'effect'>): Advice[] {
  if (checkLayout(changed) !== null) return []
  const [before, after] = [memory.deviceGiB.p50, trainMemory(changed).deviceGiB.p50]
  if (after > before * (1 - LEAST_GAIN)) return []
  const slower = stepSeconds(changed)
  const cost =
    slower > time.stepS.p50 * (1 + LEAST_GAIN / 2) ? `, step ${seconds(time.stepS.p50)} → ${seconds(slower)}` : ''
  return [{ ...advice, effect: `device memory ${gib(before)} → ${gib(after)}${cost}` }]
}

const accumulation: Adviser = (request, priced) => {
  const { microBatch, microBatches, pp } = request.layout
  if (microBatches < 2 || microBatches % 2 !== 0) return []
  const larger = withLayout(request, { microBatch: microBatch * 2, microBatches: microBatches / 2 })
  const topic = 'gradient accumulation'
  const source = 'arithmetic of larger products: NVIDIA, Matrix Multiplication Background User Guide §4'
  const fewer = faster(larger, priced, {
    topic,
    text: `accumulate ${microBatches / 2} micro-batches of ${microBatch * 2} in place of ${microBatches} of ${microBatch}`,
    source,
  })
  if (fewer.length > 0 || pp === 1 || microBatch < 2) return fewer
  return faster(withLayout(request, { microBatch: microBatch / 2, microBatches: microBatches * 2 }), priced, {
    topic,
    text: `accumulate ${microBatches * 2} micro-batches of ${microBatch / 2}: a shorter pipeline bubble`,
    source: 'Narayanan et al. 2021, arXiv:2104.04473 §2.2 and §3.4',
  })
}

const checkpointing: Adviser = (request, priced) => {
  const { recompute } = request.layout
  const source = 'Korthikanti et al. 2022, arXiv:2205.05198 §4 and §5'
  const topic = 'activation checkpointing'
  if (recompute.kind === 'none' && isTight(priced.memory)) {
    const selective = smaller(withLayout(request, { recompute: { kind: 'selective' } }), priced, {
      topic,
      text: 'recompute selectively',
      source,
    })
    const full = smaller(withLayout(request, { recompute: { kind: 'full', layers: null } }), priced, {
      topic,
      text: 'recompute whole layers',
      source: 'Chen et al. 2016, arXiv:1604.06174',
    })
    return [...selective, ...full]
  }
  if (recompute.kind === 'none') return []
  const [kind, text] =
    recompute.kind === 'full'
      ? (['selective', 'recompute selectively'] as const)
      : (['none', 'recompute nothing'] as const)
  return faster(withLayout(request, { recompute: { kind } }), priced, { topic, text: `${text}, it fits`, source })
}

/** Sequences of a step from which layer-wise step sizes were needed for BERT. */
const LAMB_BATCH = 32_768

const optimizer: Adviser = (request, priced) => {
  const { numerics, work, trainable } = request
  const stage = priced.memory.stages[priced.memory.worstStage]!
  const found: Advice[] = []
  if (numerics.optimizer === 'adamw' && isTight(priced.memory) && stage.optimizerGiB > 0.15 * stage.deviceGiB)
    found.push(
      ...smaller(withNumerics(request, { optimizer: 'adam8bit' }), priced, {
        topic: 'optimizer',
        text: 'hold Adam’s moments in 8 bits',
        source: 'Dettmers et al. 2021, arXiv:2110.02861',
      }),
    )
  if (work.globalBatch >= LAMB_BATCH && numerics.optimizer === 'adamw' && trainable.kind === 'all')
    found.push({
      topic: 'optimizer',
      text: 'LAMB scales steps by layer, for batches this large',
      effect: `global batch ${work.globalBatch} sequences, ${LAMB_BATCH} and more in its paper`,
      source: 'You et al. 2019, arXiv:1904.00962',
    })
  return found
}

const quantisation: Adviser = (request, priced) => {
  const { cluster, numerics, trainable } = request
  const { fp8, fp4 } = cluster.gpu.peakTflops
  if (numerics.precision !== 'bf16' || fp8 === undefined || trainable.kind !== 'all') return []
  const precision = fp4 === undefined ? 'fp8' : 'mxfp8'
  return faster(withNumerics(request, { precision }), priced, {
    topic: 'quantisation',
    text: `multiply in ${precision}, scaled dynamically; loss curves must be compared`,
    source:
      precision === 'fp8'
        ? 'Micikevicius et al. 2022, arXiv:2209.05433'
        : 'Mishra et al. 2025, arXiv:2506.08027 (recipes for MXFP8)',
  })
}

const loss: Adviser = (request, priced) => {
  const stage = priced.memory.stages[priced.memory.worstStage]!
  if (request.numerics.fusedLoss || stage.lossGiB < 0.1 * stage.deviceGiB) return []
  return smaller(withNumerics(request, { fusedLoss: true }), priced, {
    topic: 'loss',
    text: 'fuse output projection and cross entropy',
    source: 'Liger Kernel, arXiv:2410.10989 §3.2',
  })
}

const compilation: Adviser = (request, priced) => {
  const { numerics, software } = request
  if (numerics.compile || !['fsdp', 'torchtitan', 'deepspeed'].includes(software.framework)) return []
  return faster(withNumerics(request, { compile: true }), priced, {
    topic: 'torch.compile',
    text: 'compile each layer: elementwise chains become single kernels',
    source: 'TorchTitan, arXiv:2410.06511 table 1; Ansel et al. 2024, doi:10.1145/3620665.3640366',
  })
}

const allocator: Adviser = ({ software }, { memory }) => {
  const { reservedGiB, allocatedGiB, capacityGiB } = memory
  const idle = reservedGiB.p50 - allocatedGiB.p50
  if (software.framework === 'maxtext' || idle < 0.03 * capacityGiB || !isTight(memory)) return []
  return [
    {
      topic: 'allocator',
      text: 'set PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True',
      effect: `reserved memory ${gib(reservedGiB.p50)} → towards ${gib(allocatedGiB.p50)} allocated`,
      source: 'PyTorch, CUDA semantics: optimizing memory usage with PYTORCH_CUDA_ALLOC_CONF',
    },
  ]
}

/** A full collection of a trainer's heap stops its process for about this long. */
const COLLECTION_S = 0.1

/** Ranks pause at different steps, and all wait for each. */
const collector: Adviser = ({ cluster, software }, { time }) => {
  const share = COLLECTION_S / time.stepS.p50
  if (cluster.gpus < 64 || software.framework === 'maxtext' || share < 0.01) return []
  return [
    {
      topic: 'garbage collection',
      text: 'freeze the heap after the first step (gc.freeze) and collect on all ranks at the same step',
      effect: `pauses of about ${COLLECTION_S} s of any of ${cluster.gpus} ranks, ${(share * 100).toFixed(0)} % of a step of ${seconds(time.stepS.p50)}`,
      source: 'Megatron-LM --manual-gc; TorchTitan’s GarbageCollection; MegaScale, arXiv:2402.15627 §6.3',
    },
  ]
}

/** Half of the host's memory is behind the other socket's link, which has about half of the bandwidth. */
const numa: Adviser = ({ layout, cluster }, { time }) => {
  if (layout.offload === 'none' || cluster.gpusPerNode < 2) return []
  const { offload } = time.parts
  return [
    {
      topic: 'NUMA',
      text: 'bind each rank to the socket of its GPU (numactl --cpunodebind --membind)',
      effect: `offload ${seconds(offload)} a step when bound; up to ${seconds(offload * 1.5)} with memory on the other socket`,
      source: 'NVIDIA DGX best practices: CPU affinity; ZeRO-Offload, arXiv:2101.06840 §5',
    },
  ]
}

const ADVISERS: readonly Adviser[] = [
  accumulation,
  checkpointing,
  optimizer,
  quantisation,
  loss,
  compilation,
  allocator,
  collector,
  numa,
]
