/** Training requests for tests of the planner: everything resolved, one GPU, unless a test says otherwise. */
import type { Layout, Model, Numerics, TrainFramework, TrainRequest } from '../src/planner/types.js'

const GPU: TrainRequest['cluster']['gpu'] = {
  name: 'test-80g',
  vendor: 'test',
  hbmBytes: 80 * 2 ** 30,
  hbmGbs: 2039,
  peakTflops: { bf16: 312, fp16: 312 },
  computeUnits: 108,
  l2Bytes: 40 * 2 ** 20,
  scaleUp: { kind: 'nvlink', gbs: 300, latencyUs: 2 },
  scaleUpGpus: 8,
  gpusPerNode: 8,
  scaleOut: { kind: 'infiniband', gbs: 25, latencyUs: 5 },
  hostGbs: 32,
  powerWatts: 400,
  sources: [],
}

const LAYOUT: Layout = {
  tp: 1,
  pp: 1,
  vpp: 1,
  dp: 1,
  cp: 1,
  ep: 1,
  etp: 1,
  sequenceParallel: false,
  schedule: '1f1b',
  sharding: { kind: 'none' },
  recompute: { kind: 'none' },
  offload: 'none',
  overlap: [],
  microBatch: 1,
  microBatches: 1,
  stageLayers: null,
}

const NUMERICS: Numerics = {
  precision: 'bf16',
  gradDtype: 'bf16',
  master: true,
  optimizer: 'adamw',
  attention: 'flash',
  fusedLoss: false,
  compile: false,
}

export interface RequestDiffers {
  readonly seq?: number
  readonly layout?: Partial<Layout>
  readonly numerics?: Partial<Numerics>
  readonly framework?: TrainFramework
  readonly trainable?: TrainRequest['trainable']
  /** GPUs of the cluster when they shall not be those of the layout. */
  readonly gpus?: number
  readonly globalBatch?: number
  readonly mfu?: Partial<TrainRequest['mfu']>
}

export function trainRequest(model: Model, differs: RequestDiffers = {}): TrainRequest {
  const layout = { ...LAYOUT, ...differs.layout }
  const gpus = differs.gpus ?? layout.tp * layout.pp * layout.cp * layout.dp
  return {
    kind: 'train',
    id: null,
    model,
    trainable: differs.trainable ?? { kind: 'all' },
    cluster: { gpu: GPU, gpus, gpusPerNode: 8, scaleUpGpus: 8, interGbs: 25, hbmBytes: GPU.hbmBytes },
    work: {
      seq: differs.seq ?? 2048,
      globalBatch: differs.globalBatch ?? layout.dp * layout.microBatch * layout.microBatches,
      tokens: null,
      priceUsdPerGpuHour: null,
    },
    layout,
    given: [],
    search: false,
    numerics: { ...NUMERICS, ...differs.numerics },
    software: { framework: differs.framework ?? 'neutral', release: null },
    mfu: { causal: 'full', embeddings: true, peakTflops: null, ...differs.mfu },
    assumed: [],
  }
}
