/**
 * Models by name, and models cut short.
 *
 * `data/models.json` has the keys of each published `config.json` that matter for size and speed, and other spellings
 * of names. Each is read by `config.ts` like a user's own file; `golden/parameters.json` holds the counts that
 * `transformers` gives for the same rows. Of Gemma 3 it is the language model, without the vision tower.
 */
import { nearest } from '../core/errors.js'
import { readConfig } from './config.js'
import { PlanRefusal } from './refusal.js'
import { shippedData } from './shipped-data.js'
import type { Model } from './types.js'

const { aliases: ALIASES, configs: MODEL_CONFIGS } = shippedData('models.json') as {
  readonly aliases: Readonly<Record<string, string>>
  readonly configs: Readonly<Record<string, Readonly<Record<string, unknown>>>>
}

/** Names `--model` takes. */
export const BUILT_IN_MODELS: readonly string[] = Object.keys(MODEL_CONFIGS)

/** The config of a built-in model, as published but for what does not matter here. */
export function builtInConfig(name: string): Readonly<Record<string, unknown>> | undefined {
  return Object.hasOwn(MODEL_CONFIGS, name) ? MODEL_CONFIGS[name] : undefined
}

const read = new Map<string, Model>()

/**
 * A built-in model. The organisation before a slash, `meta-` before `llama` and endings such as `-instruct` and
 * `-base` do not change a model's size, so they are ignored: `meta-llama/Llama-3.1-8B-Instruct` is `llama-3.1-8b`.
 */
export function builtInModel(name: string): Model {
  const key = canonicalName(name)
  const config = builtInConfig(key)
  if (config === undefined) {
    const near = nearest(key, BUILT_IN_MODELS)
    throw new PlanRefusal(`no model '${name}' is built in`, [
      ...(near === undefined ? [] : [`did you mean '${near}'?`]),
      'pass its config.json with --config, or --shape layers=,hidden=,heads=,vocab=',
      `built in are ${BUILT_IN_MODELS.join(', ')}`,
    ])
  }
  const known = read.get(key)
  if (known !== undefined) return known
  const model = readConfig(config, key)
  read.set(key, model)
  return model
}

function canonicalName(name: string): string {
  const key = name
    .toLowerCase()
    .replace(/^.*\//, '')
    .replace(/^meta-/, '')
    .replaceAll('_', '-')
  if (Object.hasOwn(MODEL_CONFIGS, key)) return key
  const short = key.replace(/(-(instruct|base|chat|it|pt|hf))+$/, '')
  return (
    (Object.hasOwn(ALIASES, key) ? ALIASES[key] : undefined) ??
    (Object.hasOwn(ALIASES, short) ? ALIASES[short] : undefined) ??
    short
  )
}

/** The first `layers` layers of a model, with its embeddings. */
export function truncateModel(model: Model, layers: number): Model {
  if (!Number.isSafeInteger(layers) || layers < 1 || layers > model.layerKinds.length) {
    throw new PlanRefusal(`--layers ${layers}: ${model.name} has ${model.layerKinds.length} layers`, [
      `pass 1 to ${model.layerKinds.length}`,
    ])
  }
  const used = [...new Set(model.layerKinds.slice(0, layers))]
  return {
    ...model,
    kinds: used.map((index) => model.kinds[index]!),
    layerKinds: model.layerKinds.slice(0, layers).map((index) => used.indexOf(index)),
  }
}
