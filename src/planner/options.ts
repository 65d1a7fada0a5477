/**
 * Every option of `gristmill plan`: its name in programs and batch files (camelCase), its flag, how its value is
 * read. One list serves the command line, batch files, the TypeScript API and docs/planner.md.
 *
 * What an option means, and what stands in for one that is not given, is `train-request.ts` and
 * `serve/request.ts`.
 */
import { nearest } from '../core/errors.js'
import {
  amount,
  choice,
  count,
  fileOrObject,
  listOf,
  onOff,
  pairs,
  type Reader,
  text,
  ValueFault,
} from './option-values.js'
import { PlanRefusal } from './refusal.js'
import type {
  KvDtype,
  OptimizerName,
  Overlap,
  Precision,
  Recompute,
  Schedule,
  ServeFramework,
  Sharding,
  Trainable,
  TrainFramework,
  WeightDtype,
} from './types.js'

export type PlanKind = 'train' | 'serve'
type Command = PlanKind | 'lint'

const SCHEDULES: readonly Schedule[] = ['gpipe', '1f1b', 'interleaved', 'zb-h1', 'zb-h2', 'zb-1p', 'zb-2p']
const PRECISIONS: readonly Precision[] = ['bf16', 'fp16', 'fp32', 'fp8', 'mxfp8', 'nvfp4']
const OPTIMIZERS: readonly OptimizerName[] = ['adamw', 'adam8bit', 'adafactor', 'lion', 'lamb', 'muon', 'sgd-momentum']
const TRAIN_FRAMEWORKS: readonly TrainFramework[] = [
  'neutral',
  'megatron',
  'deepspeed',
  'fsdp',
  'torchtitan',
  'nanotron',
  'maxtext',
]
const SERVE_FRAMEWORKS: readonly ServeFramework[] = ['neutral', 'vllm', 'trtllm', 'sglang']
const WEIGHTS: readonly WeightDtype[] = ['bf16', 'fp8', 'int8', 'int4', 'fp4']
const KV_DTYPES: readonly KvDtype[] = ['bf16', 'fp8', 'int8']
const OVERLAPS: readonly Overlap[] = ['tp', 'pp', 'dp', 'cp', 'ep']

/** `name` or `name:count`. */
function withCount(value: unknown): readonly [string, number | null] {
  const [name = '', number, ...rest] = text(value).toLowerCase().split(':')
  if (rest.length > 0) throw new ValueFault(`'${String(value)}' has more than one ':'`)
  return [name, number === undefined ? null : count()(number)]
}

const trainable: Reader<Trainable> = (value) => {
  const [name, rank] = withCount(value)
  const kind = choice(['all', 'lora', 'qlora'])(name)
  if (kind === 'all') return { kind }
  if (rank === null) throw new ValueFault(`'${name}' needs a rank, as in ${name}:16`)
  return { kind, rank }
}

const sharding: Reader<Sharding> = (value) => {
  const [name, group] = withCount(value)
  const kind = choice(['none', 'zero1', 'zero2', 'zero3', 'fsdp', 'hsdp'])(name)
  if (kind !== 'hsdp') return { kind }
  if (group === null) throw new ValueFault('hsdp needs the ranks it shards over, as in hsdp:8')
  return { kind, group }
}

const recompute: Reader<Recompute> = (value) => {
  const [name, layers] = withCount(value)
  const kind = choice(['none', 'selective', 'full'])(name)
  return kind === 'full' ? { kind, layers } : { kind }
}

const release: Reader<string> = (value) => {
  const match = /^(\d{4}|\d{2})\.(\d{1,2})(?:\.\d+)?$/u.exec(text(value))
  if (match === null) throw new ValueFault(`'${String(value)}' is not a release as in 2025.09`)
  const year = match[1]!.length === 2 ? `20${match[1]}` : match[1]!
  return `${year}.${match[2]!.padStart(2, '0')}`
}

/** A batch of sequences, or of tokens. */
export type GlobalBatch = { readonly sequences: number } | { readonly tokens: number; readonly binaryTokens: number }

const globalBatch: Reader<GlobalBatch> = (value) => {
  const match = typeof value === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*([kmb]?)\s*tok(?:ens)?\s*$/iu.exec(value) : null
  if (match === null) return { sequences: count()(value) }
  const power = { '': 0, k: 1, m: 2, b: 3 }[match[2]!.toLowerCase()] ?? 0
  return { tokens: Number(match[1]) * 1000 ** power, binaryTokens: Number(match[1]) * 1024 ** power }
}

/** `15T`, `1e12`, or a plain number. */
const tokens: Reader<number> = (value) => {
  const match = typeof value === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*([kmbt])\s*$/iu.exec(value) : null
  if (match === null) return amount()(value)
  return Number(match[1]) * 1000 ** ('kmbt'.indexOf(match[2]!.toLowerCase()) + 1)
}

const concurrency: Reader<number | 'max'> = (value) => (value === 'max' ? 'max' : count()(value))

interface Spec<T> {
  /** As commander writes it: `--global-batch <n>`. */
  readonly flag: string
  readonly commands: readonly Command[]
  readonly help: string
  readonly read: Reader<T>
}

const spec = <T>(commands: string, flag: string, read: Reader<T>, help: string): Spec<T> => ({
  flag,
  commands: commands.split(' ') as Command[],
  help,
  read,
})

/** In the order of the reference. */
export const OPTIONS = {
  model: spec('train serve lint', '--model <name>', text, 'a built-in model, or a config.json'),
  config: spec('train serve lint', '--config <file>', fileOrObject, 'a Hugging Face config.json'),
  shape: spec('train serve lint', '--shape <list>', pairs, 'layers=, hidden=, heads=, … instead of a model'),
  layers: spec('train serve lint', '--layers <n>', count(), 'keep the first n layers'),
  stageLayers: spec('train', '--stage-layers <list>', listOf(count(0)), 'layers of each stage, as in 3,4,4'),
  trainable: spec('train', '--trainable <what>', trainable, 'all, lora:R or qlora:R'),

  gpus: spec('train serve lint', '--gpus <NxGPU>', text, 'as in 64xH100 or 16xA100-40G'),
  hardware: spec('train serve lint', '--hardware <file>', fileOrObject, 'your own accelerators, as JSON'),
  hbmGib: spec('train serve', '--hbm-gib <n>', amount(), 'memory of one GPU, in GiB'),
  gpusPerNode: spec('train serve', '--gpus-per-node <n>', count(), 'GPUs of one machine'),
  scaleUp: spec('train serve', '--scale-up <n>', count(), 'GPUs joined by the fast link (72 in an NVL72)'),
  interGbs: spec('train serve', '--inter-gbs <n>', amount(), 'GB/s of one GPU between nodes, one direction'),

  seq: spec('train lint', '--seq <n>', count(), 'tokens of a sequence'),
  globalBatch: spec('train', '--global-batch <n>', globalBatch, 'sequences of a step, or tokens as in 4Mtok'),
  microBatch: spec('train lint', '--micro-batch <n>', count(), 'sequences of a micro-batch'),
  gradAccum: spec('train', '--grad-accum <n>', count(), 'micro-batches of a step and replica'),
  tokens: spec('train', '--tokens <n>', tokens, 'tokens of the whole training, as in 15T'),
  price: spec('train serve', '--price <usd>', amount(), 'USD for a GPU and hour'),

  tp: spec('train serve lint', '--tp <n>', count(), 'tensor parallel ranks'),
  pp: spec('train serve', '--pp <n>', count(), 'pipeline stages'),
  vpp: spec('train', '--vpp <n>', count(), 'chunks of layers a stage'),
  dp: spec('train serve', '--dp <n>', count(), 'replicas'),
  cp: spec('train', '--cp <n>', count(), 'context parallel ranks'),
  ep: spec('train serve', '--ep <n>', count(), 'expert parallel ranks'),
  etp: spec('train', '--etp <n>', count(), 'tensor parallel ranks of the experts'),
  sequenceParallel: spec('train', '--sequence-parallel <on-off>', onOff, 'norms and dropout split along the sequence'),
  schedule: spec('train', '--schedule <name>', choice(SCHEDULES), SCHEDULES.join(', ')),
  sharding: spec('train', '--sharding <name>', sharding, 'none, zero1, zero2, zero3, fsdp or hsdp:N'),
  recompute: spec('train', '--recompute <name>', recompute, 'none, selective, full or full:K layers a stage'),
  offload: spec(
    'train',
    '--offload <name>',
    choice(['none', 'optimizer', 'params', 'activations']),
    'none, optimizer, params or activations',
  ),
  overlap: spec(
    'train',
    '--overlap <list>',
    listOf(choice(OVERLAPS)),
    'communication behind computation: tp,pp,dp,cp,ep or none',
  ),

  precision: spec('train lint', '--precision <name>', choice(PRECISIONS), PRECISIONS.join(', ')),
  gradDtype: spec('train', '--grad-dtype <name>', choice(['fp32', 'bf16', 'fp16']), 'fp32, bf16 or fp16'),
  master: spec('train', '--master <on-off>', onOff, 'FP32 master weights'),
  optimizer: spec('train', '--optimizer <name>', choice(OPTIMIZERS), OPTIMIZERS.join(', ')),
  attention: spec('train', '--attention <name>', choice(['flash', 'math']), 'flash or math'),
  fusedLoss: spec('train', '--fused-loss <on-off>', onOff, 'logits never all in memory'),
  compile: spec('train', '--compile <on-off>', onOff, 'torch.compile or XLA'),

  framework: spec('train serve', '--framework <name>', text, 'the software, with its defaults and overheads'),
  release: spec('train', '--release <yyyy.mm>', release, 'release of the framework'),
  mfu: spec('train', '--mfu <list>', pairs, 'causal=full|half,embeddings=on|off,peak=TFLOPS'),

  weights: spec('serve', '--weights <name>', choice(WEIGHTS), WEIGHTS.join(', ')),
  kvDtype: spec('serve', '--kv-dtype <name>', choice(KV_DTYPES), KV_DTYPES.join(', ')),
  prompt: spec('serve', '--prompt <n>', count(), 'tokens of a prompt'),
  output: spec('serve', '--output <n>', count(), 'tokens of an answer'),
  concurrency: spec('serve', '--concurrency <n>', concurrency, 'requests in flight, or max'),
  staticBatch: spec('serve', '--static-batch <n>', count(), 'one batch from start to end, without continuous batching'),
  memoryFraction: spec('serve', '--memory-fraction <share>', amount(1), 'share of the memory the server may take'),
  chunkedPrefill: spec('serve', '--chunked-prefill <n>', chunk, 'tokens of a prefill chunk, on or off'),
  targetP99Ms: spec('serve', '--target-p99-ms <n>', amount(), 'latency of a request that 99 % must keep'),
  arrivalRps: spec('serve', '--arrival-rps <n>', amount(), 'requests that arrive in a second'),
} as const satisfies Record<string, Spec<unknown>>

/** Tokens of a chunk, `true` for the framework's own size, `false` for whole prompts. */
function chunk(value: unknown): number | boolean {
  return value === 'on' || value === 'off' || typeof value === 'boolean' ? onOff(value) : count()(value)
}

type Read = { readonly [K in keyof typeof OPTIONS]?: ReturnType<(typeof OPTIONS)[K]['read']> }

/** Options once read. `framework` is one of the kind's own. */
export interface ReadOptions extends Omit<Read, 'framework'> {
  readonly id: string | null
  readonly framework?: TrainFramework | ServeFramework
  /** False takes the layout exactly as given. */
  readonly search: boolean
}

export type OptionName = keyof typeof OPTIONS

export const frameworksOf = (command: Command): readonly string[] =>
  command === 'serve' ? SERVE_FRAMEWORKS : TRAIN_FRAMEWORKS

export const optionsOf = (command: Command): readonly (readonly [OptionName, Spec<unknown>])[] =>
  (Object.entries(OPTIONS) as [OptionName, Spec<unknown>][]).filter(([, { commands }]) => commands.includes(command))

/**
 * Options of a command or of a line of a batch file, each value checked.
 *
 * Throws one `PlanRefusal` that names every option that is unknown, out of place or badly written. Options that are
 * undefined or null count as not given.
 */
export function readOptions(raw: Readonly<Record<string, unknown>>, command: Command): ReadOptions {
  const faults: string[] = []
  const suggestions: string[] = []
  const read: Record<string, unknown> = { id: null, search: true }
  for (const [name, value] of Object.entries(raw)) {
    if (value === undefined || value === null) continue
    try {
      if (name === 'id') read['id'] = identity(value)
      else if (name === 'search') read['search'] = onOff(value)
      else if (name === 'noSearch') read['search'] = !onOff(value)
      else read[name] = readerOf(name, command)(value)
    } catch (error) {
      if (!(error instanceof ValueFault)) throw error
      faults.push(`${name}: ${error.message}`)
      if (!Object.hasOwn(OPTIONS, name)) suggestions.push(...suggestedFor(name, command))
    }
  }
  if (faults.length > 0) throw new PlanRefusal(faults.join('; '), suggestions)
  return Object.freeze(read) as unknown as ReadOptions
}

function identity(value: unknown): string {
  if (typeof value === 'string' || typeof value === 'number') return String(value)
  throw new ValueFault('is neither a text nor a number')
}

function readerOf(name: string, command: Command): Reader<unknown> {
  if (!Object.hasOwn(OPTIONS, name)) throw new ValueFault('there is no such option')
  const { commands, read } = OPTIONS[name as OptionName] as Spec<unknown>
  if (!commands.includes(command)) throw new ValueFault(`is an option of ${commands.join(' and ')}, not of ${command}`)
  return name === 'framework' ? choice(frameworksOf(command)) : read
}

function suggestedFor(name: string, command: Command): string[] {
  const names = optionsOf(command).map(([known]) => known)
  const camel = name.replace(/[-_](\w)/gu, (_, letter: string) => letter.toUpperCase())
  const near = nearest(camel, names)
  return near === undefined ? [] : [`did you mean ${near}?`]
}
