/**
 * Options as programs write them: the typed face of `options.ts`. Units are in the names or in the first line of a
 * field's comment. Everything but the model and the GPUs may be left out.
 */
import type {
  KvDtype,
  Numerics,
  OptimizerName,
  Overlap,
  Precision,
  Schedule,
  ServeFramework,
  TrainFramework,
  WeightDtype,
} from './types.js'

/** Exactly one of `model`, `config` and `shape`. */
export interface ModelOptions {
  /** A built-in model, as in `llama-3-70b`, or the path of a config.json. */
  readonly model?: string
  /** A Hugging Face config.json: its path, or its content. */
  readonly config?: string | object
  /** `layers=32,hidden=4096,heads=32,…`, or an object of the same keys. */
  readonly shape?: string | Readonly<Record<string, unknown>>
  /** Keeps the first layers of the model. */
  readonly layers?: number
}

export interface ClusterOptions {
  /** Count and name, as in `64xH100-SXM`. */
  readonly gpus?: string
  /** Accelerators of your own in the form of the built-in table: a path, or content. */
  readonly hardware?: string | object
  /** GiB (2³⁰ bytes) of one GPU. */
  readonly hbmGib?: number
  readonly gpusPerNode?: number
  /** GPUs joined by the fast link. */
  readonly scaleUp?: number
  /** GB/s (10⁹ bytes) of one GPU between nodes, one direction. */
  readonly interGbs?: number
}

export interface TrainOptions extends ModelOptions, ClusterOptions {
  readonly id?: string
  readonly stageLayers?: readonly number[] | string
  /** `all`, `lora:R` or `qlora:R`. */
  readonly trainable?: string
  /** Tokens of a sequence. */
  readonly seq?: number
  /** Sequences of a training step, or tokens as in `4Mtok`. */
  readonly globalBatch?: number | string
  /** Sequences of a micro-batch. */
  readonly microBatch?: number
  readonly gradAccum?: number
  /** Tokens of the whole training, as in 1e12 or `15T`. */
  readonly tokens?: number | string
  /** USD for a GPU and hour. */
  readonly price?: number
  readonly tp?: number
  readonly pp?: number
  readonly vpp?: number
  readonly dp?: number
  readonly cp?: number
  readonly ep?: number
  readonly etp?: number
  readonly sequenceParallel?: boolean | 'on' | 'off'
  readonly schedule?: Schedule
  /** `none`, `zero1`, `zero2`, `zero3`, `fsdp` or `hsdp:N`. */
  readonly sharding?: string
  /** `none`, `selective`, `full` or `full:K`. */
  readonly recompute?: string
  readonly offload?: 'none' | 'optimizer' | 'params' | 'activations'
  readonly overlap?: readonly Overlap[] | string
  /** False takes the layout exactly as given. */
  readonly search?: boolean
  readonly precision?: Precision
  readonly gradDtype?: Numerics['gradDtype']
  readonly master?: boolean | 'on' | 'off'
  readonly optimizer?: OptimizerName
  readonly attention?: Numerics['attention']
  readonly fusedLoss?: boolean | 'on' | 'off'
  readonly compile?: boolean | 'on' | 'off'
  readonly framework?: TrainFramework
  /** `YYYY.MM`. */
  readonly release?: string
  /** How MFU is counted: `causal=full|half,embeddings=on|off,peak=TFLOPS`. */
  readonly mfu?: string | Readonly<Record<string, unknown>>
}

export interface ServeOptions extends ModelOptions, ClusterOptions {
  readonly id?: string
  /** USD for a GPU and hour. */
  readonly price?: number
  readonly tp?: number
  readonly pp?: number
  readonly dp?: number
  readonly ep?: number
  readonly weights?: WeightDtype
  readonly kvDtype?: KvDtype
  /** Tokens of a prompt. */
  readonly prompt?: number
  /** Tokens of an answer. */
  readonly output?: number
  /** Requests in flight over all GPUs. */
  readonly concurrency?: number | 'max'
  readonly staticBatch?: number
  /** Share of the memory the server may take, 0 to 1. */
  readonly memoryFraction?: number
  /** Tokens of a prefill chunk; true for the framework's own, false for whole prompts. */
  readonly chunkedPrefill?: number | boolean
  readonly framework?: ServeFramework
  /** Milliseconds that 99 % of the requests must keep; needs `arrivalRps`. */
  readonly targetP99Ms?: number
  /** Requests that arrive in a second. */
  readonly arrivalRps?: number
}

export interface LintOptions extends ModelOptions, Pick<ClusterOptions, 'gpus' | 'hardware'> {
  readonly seq?: number
  readonly microBatch?: number
  readonly tp?: number
  readonly precision?: Precision
}
