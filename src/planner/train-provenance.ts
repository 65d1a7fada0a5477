/** Formula and source of each part of a training plan, in the order of the answer. */
import type { Provenance, TimeParts, TrainRequest } from './types.js'

const row = (field: string, formula: string, source: string): Provenance => ({ field, formula, source })

/** `parts` of the plan's step: what takes no time needs no source. */
export function trainProvenance(request: TrainRequest, parts: TimeParts): readonly Provenance[] {
  const { cluster, work } = request
  return [
    row('params', 'sum over weight matrices, biases and norms', 'equal to transformers and peft on the meta device'),
    row(
      'flops.modelPerStep',
      '2·m·k·n for each product of a forward pass, and twice that backward; mfu says what counts',
      'arXiv:2204.02311 appendix B; arXiv:2104.04473 appendix; equal to torch FlopCounterMode',
    ),
    row('flops.hardwarePerStep', 'modelPerStep and what is recomputed', 'arXiv:2205.05198 §5'),
    row(
      'time.stepS',
      'sum of time.parts: the critical path of the busiest pipeline rank; 80 % interval from tables left out of the fit',
      'docs/planner-accuracy.md',
    ),
    ...timeRows(request)
      .filter(([part]) => parts[part] > 0)
      .map(([, source]) => source),
    row('time.bubbleRate', '(total − micro-batches · busy) / total of the pipeline', 'arXiv:2401.10241'),
    row(
      'throughput',
      'globalBatch · seq / stepS; modelPerStep / gpus / stepS, of peakTflops the mfu; with hardwarePerStep the hfu',
      'arXiv:2204.02311 appendix B',
    ),
    row('memory.capacityGiB', 'what the driver reports as total, or --hbm-gib', cluster.gpu.sources.join('; ')),
    ...MEMORY,
    ...(work.tokens === null ? [] : [row('total', 'tokens / tokensPerS, times GPUs, times the price', 'definition')]),
    row(
      'dataMBs',
      'tokensPerS · 2 bytes a token id, 4 from a vocabulary of 65,500 on',
      'Megatron .bin, as gristmill writes it',
    ),
    row('hardware', `${cluster.gpu.name}: peaks, bandwidth, links, capacity`, cluster.gpu.sources.join('; ')),
  ]
}

function timeRows({ layout }: TrainRequest): readonly (readonly [keyof TimeParts, Provenance])[] {
  const part = (name: keyof TimeParts, formula: string, source: string) =>
    [name, row(`time.parts.${name}`, formula, source)] as const
  return [
    part(
      'gemm',
      'flops / (peak · share) · tiles · waves · ramp, not under bytes / bandwidth',
      'NVIDIA Matrix Multiplication Background; data/calibration.json',
    ),
    part(
      'attention',
      'flash: 4·b·s·keys·h forward, 2.5 times backward; math: scores through memory',
      'arXiv:2307.08691; arXiv:2205.05198 §4.1',
    ),
    part('elementwise', 'bytes read and written by each kernel / bandwidth', 'passes counted in time/layer-work.ts'),
    part('loss', '8 (fused) or 30 bytes a logit / bandwidth', 'passes of cross entropy and its gradient'),
    part('tp', 'two ring all-reduces a layer and pass', 'arXiv:1909.08053 §3; arXiv:2205.05198 §4.2.2'),
    part('cp', 'keys and values once around the ring, beside attention', 'arXiv:2310.01889'),
    part('ep', 'dispatch and combine, all-to-all both ways', 'arXiv:2101.03961; DeepEP'),
    part('ppComm', 'activations of a micro-batch over the link, 1/tp a rank', 'arXiv:2104.04473 §4.1'),
    part(
      'bubble',
      `${layout.schedule}: idle time of the schedule, replayed event by event`,
      'arXiv:2104.04473 §2.2; arXiv:2401.10241 §2.3',
    ),
    part(
      'dp',
      `${layout.sharding.kind}: what backward and forward passes do not hide`,
      'arXiv:1910.02054 §7; arXiv:2304.11277',
    ),
    part('optimizer', 'bytes of states, gradients and weights / bandwidth / shards', 'arXiv:1910.02054 §3'),
    part(
      'offload',
      `${layout.offload}: bytes over the host's link, what computation does not hide`,
      'arXiv:2101.06840 §4; arXiv:2104.07857 §5',
    ),
  ]
}

const MEMORY: readonly Provenance[] = [
  row(
    'memory.stages[].weightsGiB',
    'parameters · bytes, divided over tp, pp, ep and shards',
    'arXiv:1910.02054 §3 and §5',
  ),
  row('memory.stages[].gradsGiB', 'trained parameters · bytes of grad-dtype', 'arXiv:1910.02054 §3 and §5'),
  row(
    'memory.stages[].optimizerGiB',
    'master weights and states of the optimizer',
    'arXiv:1910.02054 §3; states.ts, by optimizer',
  ),
  row(
    'memory.stages[].activationsGiB',
    'tensors kept by a layer · layers · micro-batches in flight by schedule',
    'arXiv:2205.05198 §4; equal to torch saved_tensors_hooks; arXiv:2104.04473 §2.2',
  ),
  row('memory.stages[].lossGiB', 'logits · bytes at the peak of cross entropy', 'states.ts, by framework'),
  row('memory.stages[].commGiB', 'gathered layers, buckets, and what stages send each other', 'arXiv:2304.11277 §3.2'),
  row(
    'memory.stages[].workspaceGiB',
    'what the layer at work needs besides, and cuBLAS workspaces',
    'PyTorch, CUBLAS_WORKSPACE_CONFIG',
  ),
  row(
    'memory.allocatedGiB',
    'sum of the parts at the peak of the worst stage; 80 % interval from published runs',
    'docs/planner-accuracy.md',
  ),
  row(
    'memory.reservedGiB',
    'allocated, and 8 % (compiled: 5 %) that the caching allocator holds in pieces',
    'docs/planner-accuracy.md',
  ),
  row(
    'memory.deviceGiB',
    'reserved, 0.55 GiB of context, 0.3 GiB a communicator',
    'what torch does not allocate: CUDA context and libraries; NCCL buffers (NCCL_BUFFSIZE)',
  ),
]
