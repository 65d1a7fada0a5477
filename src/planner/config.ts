/**
 * Hugging Face `config.json` to a `Model`: which architecture it is, and what is refused.
 *
 * What the keys mean for each architecture is `config-families.ts`. State-space and linear-attention hybrids are
 * refused by name: their cost is not that of attention.
 */
import { nearest } from '../core/errors.js'
import { FAMILIES } from './config-families.js'
import { configFields } from './config-fields.js'
import { PlanRefusal } from './refusal.js'
import type { LayerKind, Model } from './types.js'

const FAMILY_NAMES: readonly string[] = Object.keys(FAMILIES)

const HYBRIDS =
  /mamba|jamba|zamba|bamba|rwkv|nemotron_h|falcon_h1|recurrent_gemma|qwen3_next|qwen3_5|minimax$|minimax_m1|plamo2|lfm2|kimi_linear|granitemoehybrid|granite_hybrid|xlstm|ssm|retnet|hyena|olmo_hybrid/

/** Reads a config as it is. `name` is the name or path shown in messages and plans. */
export function readConfig(json: unknown, name: string): Model {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new PlanRefusal(`${name} is not a JSON object`, ['pass the config.json of a model'])
  }
  const outer = json as Readonly<Record<string, unknown>>
  const type = outer['model_type']
  if (typeof type !== 'string') {
    throw new PlanRefusal(`${name} has no 'model_type'`, [
      `add "model_type": "llama" (or one of ${FAMILY_NAMES.join(', ')})`,
    ])
  }
  refuseHybrid(outer, type, name)
  // Models with a vision tower keep the language model's keys one level down.
  const nested = outer['text_config']
  if (typeof nested === 'object' && nested !== null && outer['hidden_size'] === undefined) {
    return readConfig(
      { model_type: NESTED_TYPE[type], tie_word_embeddings: outer['tie_word_embeddings'], ...nested },
      name,
    )
  }
  const family = Object.hasOwn(FAMILIES, type) ? FAMILIES[type] : undefined
  if (family === undefined) {
    const near = nearest(type, FAMILY_NAMES)
    throw new PlanRefusal(`${name}: model_type '${type}' is not known`, [
      ...(near === undefined ? [] : [`did you mean '${near}'?`]),
      `known are ${FAMILY_NAMES.join(', ')}`,
      'or describe the model with --shape layers=,hidden=,heads=,vocab=',
    ])
  }
  const { layers, ...parts } = family(configFields(outer, name))
  return { name, family: type, ...parts, ...distinctKinds(layers) }
}

const NESTED_TYPE: Readonly<Record<string, string>> = { gemma3: 'gemma3_text', mistral3: 'mistral' }

function refuseHybrid(raw: Readonly<Record<string, unknown>>, type: string, name: string): void {
  const types = raw['layer_types'] ?? raw['layers_block_type']
  const foreign = Array.isArray(types)
    ? types.find((entry): entry is string => typeof entry === 'string' && /mamba|linear|recurrent|ssm|conv/.test(entry))
    : undefined
  if (!HYBRIDS.test(type) && foreign === undefined) return
  const what = foreign === undefined ? `'${type}'` : `'${type}' with '${foreign}' layers`
  throw new PlanRefusal(`${name}: ${what} is a state-space or linear-attention model, which is not modelled`, [
    'plan a model whose layers are all attention',
  ])
}

/** Groups equal layers. */
export function distinctKinds(layers: readonly LayerKind[]): Pick<Model, 'kinds' | 'layerKinds'> {
  const kinds: LayerKind[] = []
  const seen = new Map<string, number>()
  const layerKinds = layers.map((layer) => {
    const key = JSON.stringify(layer)
    const known = seen.get(key)
    if (known !== undefined) return known
    seen.set(key, kinds.length)
    return kinds.push(layer) - 1
  })
  return { kinds, layerKinds }
}
