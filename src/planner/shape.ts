/**
 * A model from its numbers: `--shape layers=24,hidden=2048,heads=16,vocab=50304`.
 *
 * What is left out follows from the activation: SwiGLU stands for a model like Llama (RMS norms, rotary positions,
 * no biases, no dropout), GELU for one like GPT-3 (layer norms, learned positions, biases, tied embeddings,
 * dropout 0.1; Brown et al. 2020, arXiv:2005.14165, and Megatron-LM's defaults).
 */
import { nearest } from '../core/errors.js'
import { distinctKinds } from './config.js'
import { PlanRefusal } from './refusal.js'
import type { Mlp, Model } from './types.js'

const COUNTS = [
  'layers',
  'hidden',
  'heads',
  'kvHeads',
  'headDim',
  'ffn',
  'vocab',
  'experts',
  'topK',
  'moeFfn',
  'shared',
  'denseLayers',
  'slidingWindow',
  'maxPositions',
] as const
const WORDS = ['act', 'tied', 'bias', 'pos', 'dropout'] as const
const KEYS: readonly string[] = [...COUNTS, ...WORDS]

/** Positions of a learned table when `maxPositions` is not given: GPT-3's context. */
const DEFAULT_POSITIONS = 2048

export interface ShapeReading {
  readonly model: Model
  /** Keys that were filled in, as in `shape.ffn`. */
  readonly assumed: readonly string[]
}

/** Reads `key=value,…` or an object of the same keys. */
export function readShape(shape: string | Readonly<Record<string, unknown>>): ShapeReading {
  const given = typeof shape === 'string' ? splitShape(shape) : shape
  for (const key of Object.keys(given)) {
    if (KEYS.includes(key)) continue
    const near = nearest(key, KEYS)
    throw new PlanRefusal(`--shape has no key '${key}'`, [
      ...(near === undefined ? [] : [`did you mean '${near}'?`]),
      `keys are ${KEYS.join(', ')}`,
    ])
  }
  const assumed: string[] = []
  const fill = <T>(key: string, value: T | null, fallback: () => T): T => {
    if (value !== null) return value
    assumed.push(`shape.${key}`)
    return fallback()
  }
  const need = (key: (typeof COUNTS)[number]): number => {
    const value = countOf(given, key)
    if (value !== null && value > 0) return value
    throw new PlanRefusal(`--shape needs '${key}'`, [
      `add ${key}=N to --shape; layers, hidden, heads and vocab are needed`,
    ])
  }
  const [layers, hidden, heads, vocab] = [need('layers'), need('hidden'), need('heads'), need('vocab')]
  const act = fill('act', choiceOf(given, 'act', ['gelu', 'swiglu', 'geglu', 'relu']), () => 'swiglu')
  const gated = act.endsWith('glu')
  const headDim = fill('headDim', countOf(given, 'headDim'), () => headDimOf(hidden, heads))
  const kvHeads = fill('kvHeads', countOf(given, 'kvHeads'), () => heads)
  if (heads % kvHeads !== 0) {
    const fitting = [...Array(heads).keys()].map((n) => n + 1).filter((n) => heads % n === 0)
    throw new PlanRefusal(`kvHeads ${kvHeads} does not divide heads ${heads}`, [`kvHeads of ${fitting.join(', ')}`])
  }
  const bias = fill('bias', flagOf(given, 'bias'), () => !gated)
  const pos = fill('pos', choiceOf(given, 'pos', ['rope', 'learned', 'alibi', 'none']), () =>
    gated ? 'rope' : 'learned',
  )
  const positionRows =
    pos === 'learned' ? fill('maxPositions', countOf(given, 'maxPositions'), () => DEFAULT_POSITIONS) : 0
  const attention = {
    kind: 'grouped',
    heads,
    kvHeads,
    headDim,
    qkvBias: bias,
    outBias: bias,
    qkNorm: 'none',
    window: countOf(given, 'slidingWindow'),
    sinks: false,
  } as const
  const mlps = mlpsOf(given, { layers, hidden, act, gated, bias, fill })
  const model: Model = {
    name: 'shape',
    family: 'shape',
    hidden,
    ...distinctKinds(mlps.map((mlp) => ({ attention, mlp, norms: 2 }))),
    vocab,
    tiedEmbeddings: fill('tied', flagOf(given, 'tied'), () => !gated),
    headBias: false,
    norm: gated ? 'rmsnorm' : 'layernorm',
    normBias: !gated,
    finalNorm: true,
    positions: pos,
    positionRows,
    parallelBlocks: false,
    causal: true,
    encoder: null,
    maxPositions: countOf(given, 'maxPositions'),
    dropout: fill('dropout', numberOf(given, 'dropout'), () => (gated ? 0 : 0.1)),
  }
  return { model, assumed }
}

interface MlpContext {
  readonly layers: number
  readonly hidden: number
  readonly act: string
  readonly gated: boolean
  readonly bias: boolean
  readonly fill: <T>(key: string, value: T | null, fallback: () => T) => T
}

/** The MLP of each layer: dense ones first when there are experts. */
function mlpsOf(given: Readonly<Record<string, unknown>>, context: MlpContext): Mlp[] {
  const { layers, hidden, act, gated, bias, fill } = context
  const experts = countOf(given, 'experts') ?? 0
  // Two thirds of 4·hidden keep a gated MLP's parameters (Shazeer 2020, arXiv:2002.05202, §2); Llama rounds to 256.
  const ffn = fill('ffn', countOf(given, 'ffn'), () => (gated ? Math.ceil((8 * hidden) / 3 / 256) * 256 : 4 * hidden))
  const dense: Mlp = { kind: 'dense', act, gated, ffn, bias }
  if (experts === 0) return Array.from({ length: layers }, () => dense)
  const topK = fill('topK', countOf(given, 'topK'), () => 2)
  if (topK > experts) throw new PlanRefusal(`topK ${topK} is more than ${experts} experts`, [`topK of 1 to ${experts}`])
  const moeFfn = fill('moeFfn', countOf(given, 'moeFfn'), () => ffn)
  const sharedFfn = (countOf(given, 'shared') ?? 0) * moeFfn
  const denseLayers = countOf(given, 'denseLayers') ?? 0
  if (denseLayers > layers) {
    throw new PlanRefusal(`denseLayers ${denseLayers} is more than ${layers} layers`, [`denseLayers of 0 to ${layers}`])
  }
  const routed = { experts, topK, ffn: moeFfn, sharedFfn, sharedGate: false, routerBias: false }
  const moe: Mlp = { kind: 'experts', act, gated, bias, ...routed }
  return Array.from({ length: layers }, (_, layer) => (layer < denseLayers ? dense : moe))
}

function splitShape(text: string): Record<string, string> {
  const pairs = text.split(',').filter((part) => part.trim() !== '')
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.indexOf('=')
      if (at < 1) throw new PlanRefusal(`--shape: '${pair.trim()}' is no key=value`, ['as in layers=24,hidden=2048'])
      return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()]
    }),
  )
}

function headDimOf(hidden: number, heads: number): number {
  if (hidden % heads === 0) return hidden / heads
  throw new PlanRefusal(`heads ${heads} does not divide hidden ${hidden}`, [
    'choose heads that divide hidden, or state headDim',
  ])
}

/** A value as it is shown: text as it is, anything else as JSON. */
function wordOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function numberOf(given: Readonly<Record<string, unknown>>, key: string): number | null {
  const value = given[key]
  if (value === undefined || value === null || value === '') return null
  const number = typeof value === 'string' ? Number(value) : value
  if (typeof number === 'number' && Number.isFinite(number) && number >= 0) return number
  throw new PlanRefusal(`--shape ${key}=${wordOf(value)} is no number`, [`write ${key}=N`])
}

function countOf(given: Readonly<Record<string, unknown>>, key: (typeof COUNTS)[number]): number | null {
  const value = numberOf(given, key)
  if (value === null || Number.isSafeInteger(value)) return value === 0 && key !== 'denseLayers' ? null : value
  throw new PlanRefusal(`--shape ${key}=${value} is no whole number`, [`write ${key}=N`])
}

function flagOf(given: Readonly<Record<string, unknown>>, key: string): boolean | null {
  const value = given[key]
  if (value === undefined || value === null || value === '') return null
  if (value === true || value === 1 || /^(true|1|on|yes)$/i.test(wordOf(value))) return true
  if (value === false || value === 0 || /^(false|0|off|no)$/i.test(wordOf(value))) return false
  throw new PlanRefusal(`--shape ${key}=${wordOf(value)} is neither true nor false`, [
    `write ${key}=true or ${key}=false`,
  ])
}

function choiceOf<const T extends string>(
  given: Readonly<Record<string, unknown>>,
  key: string,
  choices: readonly T[],
): T | null {
  const value = given[key]
  if (value === undefined || value === null || value === '') return null
  const found = choices.find((choice) => choice === wordOf(value).toLowerCase())
  if (found !== undefined) return found
  throw new PlanRefusal(`--shape ${key}=${wordOf(value)} is not known`, [`${key} is one of ${choices.join(', ')}`])
}
