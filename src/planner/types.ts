/**
 * The nouns of the planner: what a request says once everything is resolved. What a plan answers is `plan-types.ts`.
 *
 * Types only. Reading options is `options.ts`, filling defaults `train-request.ts` and `serve/request.ts`; formulas are in the file of their subject.
 * Units are in the names: bytes, `Gib` = 2³⁰ bytes, `GBs` = 10⁹ bytes a second, `Tflops` = 10¹² operations a
 * second, `S` seconds, `Ms` milliseconds. Counts have none. A multiplication and an addition are two operations.
 */
export type * from './plan-types.js'

// --- Model ---------------------------------------------------------------------------------------------------

/** Multi-head, grouped-query and multi-query attention: they differ in `kvHeads` alone. */
export interface GroupedAttention {
  readonly kind: 'grouped'
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  /** Biases of the query, key and value projections. */
  readonly qkvBias: boolean
  /** Bias of the output projection. */
  readonly outBias: boolean
  /** Normalisation of queries and keys: one weight per head dimension (Qwen 3), or over the whole projection. */
  readonly qkNorm: 'none' | 'head' | 'whole'
  /** Keys a query sees at most, itself included (sliding window); `null` for all. */
  readonly window: number | null
  /** One learned sink logit per head (GPT-OSS). */
  readonly sinks: boolean
}

/** Multi-head latent attention (DeepSeek-V2, arXiv:2405.04434 §2.1): keys and values come from one narrow vector. */
export interface LatentAttention {
  readonly kind: 'latent'
  readonly heads: number
  /** Width of the compressed query; `null` when queries are projected directly. */
  readonly qLoraRank: number | null
  readonly kvLoraRank: number
  readonly qkNopeHeadDim: number
  readonly qkRopeHeadDim: number
  readonly vHeadDim: number
  readonly bias: boolean
}

export type Attention = GroupedAttention | LatentAttention

/** `gated` activations have two input matrices (SwiGLU, GeGLU), plain ones one. */
export interface DenseMlp {
  readonly kind: 'dense'
  readonly act: string
  readonly gated: boolean
  readonly ffn: number
  readonly bias: boolean
}

export interface ExpertMlp {
  readonly kind: 'experts'
  readonly act: string
  readonly gated: boolean
  readonly experts: number
  /** Experts a token visits. */
  readonly topK: number
  /** Width of one expert. */
  readonly ffn: number
  readonly bias: boolean
  /** Width of all shared experts together; 0 without. */
  readonly sharedFfn: number
  /** A learned gate on the shared experts' output (Qwen 2 MoE). */
  readonly sharedGate: boolean
  /** A bias on the router's projection (GPT-OSS). */
  readonly routerBias: boolean
}

export type Mlp = DenseMlp | ExpertMlp

/** One kind of layer. Models have few kinds, so work is priced once a kind and summed. */
export interface LayerKind {
  readonly attention: Attention
  readonly mlp: Mlp
  /** Normalisations over the hidden size: 2 as a rule, 4 in Gemma 2 and 3, 1 in Phi. */
  readonly norms: number
}

export interface Model {
  /** As asked for: `llama-3-70b`, the config's file, or `shape`. */
  readonly name: string
  /** Architecture family, as in `llama`, `deepseek-v3`, `gpt-neox`, `bert`. */
  readonly family: string
  readonly hidden: number
  /** The distinct kinds of layers. */
  readonly kinds: readonly LayerKind[]
  /** For each layer in order, its index in `kinds`. */
  readonly layerKinds: readonly number[]
  /** Entries of the vocabulary, before any padding by a framework. */
  readonly vocab: number
  /** The output projection shares the embedding's weights. */
  readonly tiedEmbeddings: boolean
  /** Bias of the output projection. */
  readonly headBias: boolean
  readonly norm: 'rmsnorm' | 'layernorm'
  /** Layer norms have biases as a rule, RMS norms have none. */
  readonly normBias: boolean
  /** A normalisation after the last layer. */
  readonly finalNorm: boolean
  readonly positions: 'rope' | 'learned' | 'alibi' | 'none'
  /** Rows of the table of learned positions; 0 without. */
  readonly positionRows: number
  /** Attention and MLP read the same input and are added at once (GPT-NeoX, Phi). */
  readonly parallelBlocks: boolean
  /** Causal decoders; false for BERT. */
  readonly causal: boolean
  /** BERT's extras: segment embeddings, a normalised embedding and a transformed head; `null` in decoders. */
  readonly encoder: { readonly segmentRows: number } | null
  /** Longest context the model was made for; `null` when unknown. */
  readonly maxPositions: number | null
  /** The dropout of training (hidden and attention): 0 in models since Llama, 0.1 in GPT-2 and BERT. */
  readonly dropout: number
}

export type Trainable =
  | { readonly kind: 'all' }
  /** Low-rank adapters on all linear layers of the blocks; `qlora` holds the base model in 4 bits. */
  | { readonly kind: 'lora' | 'qlora'; readonly rank: number }

export interface ParameterCounts {
  readonly total: number
  /** Parameters one token meets: of the experts only the chosen ones. */
  readonly active: number
  readonly trainable: number
  /** Input embedding, learned positions, and the output projection where it is not shared. */
  readonly embedding: number
}

// --- Hardware ------------------------------------------------------------------------------------------------

/** Number formats with a peak of their own. `fp8` also stands for MXFP8, `fp4` for NVFP4 and MXFP4. */
export type PeakDtype = 'fp32' | 'tf32' | 'fp16' | 'bf16' | 'fp8' | 'int8' | 'fp4'

export interface Link {
  readonly kind: 'nvlink' | 'xgmi' | 'pcie' | 'ici' | 'infiniband' | 'roce' | 'ethernet'
  /** One direction, for each GPU. */
  readonly gbs: number
  readonly latencyUs: number
}

/** A row of the hardware table, or of a user's own file. */
export interface Gpu {
  readonly name: string
  readonly vendor: string
  readonly hbmBytes: number
  /** 10⁹ bytes a second, as the vendor states it. */
  readonly hbmGbs: number
  /** Dense peaks. A format the chip lacks is absent. */
  readonly peakTflops: Readonly<Partial<Record<PeakDtype, number>>>
  /** Streaming multiprocessors, compute units, or cores: the unit of wave quantisation. */
  readonly computeUnits: number
  readonly l2Bytes: number
  /** Link inside the scale-up domain. */
  readonly scaleUp: Link
  /** GPUs that reach each other over `scaleUp`: 8 in a DGX H100, 72 in an NVL72, 1 without such a link. */
  readonly scaleUpGpus: number
  readonly gpusPerNode: number
  /** Link between nodes. */
  readonly scaleOut: Link
  /** To the host's memory, one direction, for each GPU: what offload has. */
  readonly hostGbs: number
  readonly powerWatts: number
  /** Where the figures come from. */
  readonly sources: readonly string[]
}

export interface Cluster {
  readonly gpu: Gpu
  readonly gpus: number
  readonly gpusPerNode: number
  readonly scaleUpGpus: number
  /** Between nodes, one direction, for each GPU. */
  readonly interGbs: number
  /** Capacity of one GPU; the record's unless the request overrides it. */
  readonly hbmBytes: number
}

// --- Training request ----------------------------------------------------------------------------------------

export type Schedule = 'gpipe' | '1f1b' | 'interleaved' | 'zb-h1' | 'zb-h2' | 'zb-1p' | 'zb-2p'

/** `hsdp` shards inside groups of `group` ranks and replicates across them. */
export type Sharding =
  | { readonly kind: 'none' | 'zero1' | 'zero2' | 'zero3' | 'fsdp' }
  | { readonly kind: 'hsdp'; readonly group: number }

/** `full` recomputes whole layers: all of them, or the first `layers` of each stage. */
export type Recompute =
  | { readonly kind: 'none' | 'selective' }
  | { readonly kind: 'full'; readonly layers: number | null }

export type Overlap = 'tp' | 'pp' | 'dp' | 'cp' | 'ep'

/**
 * How the work is laid over the GPUs: everything the search may vary.
 *
 * `gpus = tp·pp·cp·dp`. Experts are spread over `ep` ranks taken out of `tp·cp·dp / etp` (Megatron's parallel
 * folding, arXiv:2504.14960). A step is `microBatches` micro-batches of `microBatch` sequences in each of `dp`
 * replicas, so the global batch is `microBatch·microBatches·dp` sequences.
 */
export interface Layout {
  readonly tp: number
  readonly pp: number
  /** Chunks of layers a stage holds (interleaved schedules and zb-1p/zb-2p do not need it: 1). */
  readonly vpp: number
  readonly dp: number
  readonly cp: number
  readonly ep: number
  readonly etp: number
  readonly sequenceParallel: boolean
  readonly schedule: Schedule
  readonly sharding: Sharding
  readonly recompute: Recompute
  readonly offload: 'none' | 'optimizer' | 'params' | 'activations'
  /** Communication hidden behind computation. */
  readonly overlap: readonly Overlap[]
  readonly microBatch: number
  /** Micro-batches a step and replica: gradient accumulation, or what fills the pipeline. */
  readonly microBatches: number
  /** Layers of each pipeline stage where the user gave them; `null` for an even split. */
  readonly stageLayers: readonly number[] | null
}

export interface Work {
  /** Tokens of one sequence. */
  readonly seq: number
  /** Sequences of one step over all replicas. */
  readonly globalBatch: number
  /** Tokens of the whole training; `null` when not asked. */
  readonly tokens: number | null
  readonly priceUsdPerGpuHour: number | null
}

export type Precision = 'bf16' | 'fp16' | 'fp32' | 'fp8' | 'mxfp8' | 'nvfp4'
export type OptimizerName = 'adamw' | 'adam8bit' | 'adafactor' | 'lion' | 'lamb' | 'muon' | 'sgd-momentum'

export interface Numerics {
  readonly precision: Precision
  /** Format gradients are kept and reduced in. */
  readonly gradDtype: 'fp32' | 'bf16' | 'fp16'
  /** FP32 master copy of the weights. */
  readonly master: boolean
  readonly optimizer: OptimizerName
  readonly attention: 'flash' | 'math'
  /** Logits are never all in memory at once. */
  readonly fusedLoss: boolean
  readonly compile: boolean
}

export type TrainFramework = 'neutral' | 'megatron' | 'deepspeed' | 'fsdp' | 'torchtitan' | 'nanotron' | 'maxtext'

export interface Software {
  readonly framework: TrainFramework
  /** `YYYY.MM`, or `null` for the newest known. */
  readonly release: string | null
}

/** How model FLOPs are counted for MFU; published figures differ in exactly these. */
export interface MfuConvention {
  /** `half` counts only the visible half of causal attention. */
  readonly causal: 'full' | 'half'
  /** Whether the output projection (and nothing else of the embeddings) counts. */
  readonly embeddings: boolean
  /** What 100 % is; `null` for the GPU's dense peak in the request's precision. */
  readonly peakTflops: number | null
}

/** A training request with every input resolved. */
export interface TrainRequest {
  readonly kind: 'train'
  readonly id: string | null
  readonly model: Model
  readonly trainable: Trainable
  readonly cluster: Cluster
  readonly work: Work
  readonly layout: Layout
  /** Fields of `layout` that the user stated; a search varies the others only. */
  readonly given: readonly (keyof Layout)[]
  /** False takes `layout` exactly as it is. */
  readonly search: boolean
  readonly numerics: Numerics
  readonly software: Software
  readonly mfu: MfuConvention
  /** Names of the inputs that were defaulted. */
  readonly assumed: readonly string[]
}

// --- Serving request -----------------------------------------------------------------------------------------

export type WeightDtype = 'bf16' | 'fp8' | 'int8' | 'int4' | 'fp4'
export type KvDtype = 'bf16' | 'fp8' | 'int8'
export type ServeFramework = 'neutral' | 'vllm' | 'trtllm' | 'sglang'

export interface ServeRequest {
  readonly kind: 'serve'
  readonly id: string | null
  readonly model: Model
  readonly cluster: Cluster
  /** `gpus = tp·pp·dp`; `dp` copies of the model serve side by side; `ep` spreads experts over `tp·dp`. */
  readonly layout: { readonly tp: number; readonly pp: number; readonly dp: number; readonly ep: number }
  readonly weights: WeightDtype
  readonly kvDtype: KvDtype
  readonly promptTokens: number
  readonly outputTokens: number
  /** Requests in flight over the whole cluster. */
  readonly concurrency: number | 'max'
  /** One batch from start to end instead of continuous batching; `null` for continuous. */
  readonly staticBatch: number | null
  /** Share of the GPU's memory the server may take. */
  readonly memoryFraction: number
  /** Tokens of a prefill chunk; `null` when prompts run whole. */
  readonly chunkedPrefill: number | null
  readonly framework: ServeFramework
  readonly priceUsdPerGpuHour: number | null
  readonly targetP99Ms: number | null
  readonly arrivalRps: number | null
  readonly assumed: readonly string[]
}
