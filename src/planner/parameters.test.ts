import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { readConfig } from './config.js'
import { builtInConfig, builtInModel, BUILT_IN_MODELS, truncateModel } from './models.js'
import { countParameters, kindParameters, paddedVocab } from './parameters.js'

/** Counts by transformers and peft on the meta device; the file names versions and command. */
const golden = JSON.parse(readFileSync(new URL('golden/parameters.json', import.meta.url), 'utf8')) as {
  readonly counts: Readonly<Record<string, number>>
  readonly lora: { readonly model: string; readonly rank: number; readonly trainable: number }
}

test('every built-in model has the parameters that transformers counts', () => {
  const ours = Object.fromEntries(BUILT_IN_MODELS.map((name) => [name, countParameters(builtInModel(name)).total]))
  expect(ours).toEqual(golden.counts)
})

test('adapters on every linear layer have the parameters that peft counts', () => {
  const { model, rank, trainable } = golden.lora
  expect(countParameters(builtInModel(model), { kind: 'lora', rank }).trainable).toBe(trainable)
})

test('active parameters leave out the experts a token does not visit', () => {
  // Mixtral's paper says 13B of 47B (arXiv:2401.04088); DeepSeek-V3's 37B of 671B (arXiv:2412.19437).
  const mixtral = countParameters(builtInModel('mixtral-8x7b'))
  expect(mixtral.total - mixtral.active).toBe(32 * 6 * 3 * 4096 * 14_336)
  expect(countParameters(builtInModel('deepseek-v3')).active / 1e9).toBeCloseTo(37.6, 1)
})

test('embedding parameters are the table, learned positions and an output projection of its own', () => {
  expect(countParameters(builtInModel('llama-3-8b')).embedding).toBe(2 * 128_256 * 4096)
  expect(countParameters(builtInModel('gpt2')).embedding).toBe((50_257 + 1024) * 768)
})

test('what parallelism splits, routes and copies adds up to the layer', () => {
  for (const name of BUILT_IN_MODELS) {
    for (const layer of kindParameters(builtInModel(name))) {
      expect(layer.split + layer.routed + layer.copied).toBe(layer.total)
      expect(layer.active).toBeLessThanOrEqual(layer.total)
    }
  }
})

test('a truncated model keeps its first layers', () => {
  const model = truncateModel(builtInModel('deepseek-v3'), 4)
  expect(model.layerKinds).toEqual([0, 0, 0, 1])
  const dense = truncateModel(builtInModel('deepseek-v3'), 2)
  expect(dense.kinds).toHaveLength(1)
  expect(() => truncateModel(model, 5)).toThrow('has 4 layers')
})

test('Megatron pads the vocabulary to 128 times tp, the others to tp', () => {
  expect(paddedVocab(50_257, 'megatron', 1)).toBe(50_304)
  expect(paddedVocab(50_257, 'megatron', 8)).toBe(51_200)
  expect(paddedVocab(50_257, 'neutral', 8)).toBe(50_264)
})

test('names are found with their organisation, ending and case', () => {
  expect(builtInModel('meta-llama/Meta-Llama-3-8B-Instruct').name).toBe('llama-3-8b')
  expect(builtInModel('Qwen/Qwen3-8B').name).toBe('qwen3-8b')
  expect(() => builtInModel('lama-3-8b')).toThrow("did you mean 'llama-3-8b'?")
})

test('a config with a missing key is refused with the key', () => {
  const { num_hidden_layers: _, ...rest } = builtInConfig('llama-3-8b')!
  expect(() => readConfig(rest, 'config.json')).toThrow("config.json has no 'num_hidden_layers'")
  expect(() => readConfig({ hidden_size: 8 }, 'config.json')).toThrow("has no 'model_type'")
  expect(() => readConfig({ model_type: 'lama' }, 'config.json')).toThrow("did you mean 'llama'?")
  expect(() => readConfig({ ...rest, num_hidden_layers: '32' }, 'config.json')).toThrow('expected a whole number')
})

test('state-space and linear-attention hybrids are refused by name', () => {
  expect(() => readConfig({ model_type: 'jamba' }, 'config.json')).toThrow("'jamba' is a state-space")
  expect(() => readConfig({ model_type: 'qwen3_next' }, 'config.json')).toThrow("'qwen3_next'")
  const mixed = { ...builtInConfig('qwen3-8b'), layer_types: ['linear_attention', 'full_attention'] }
  expect(() => readConfig(mixed, 'config.json')).toThrow("with 'linear_attention' layers")
})

test('the language model of a vision model is read from its text_config', () => {
  const text = { ...builtInConfig('gemma-3-4b') }
  delete text['num_attention_heads'] // published files leave out what equals the class defaults
  delete text['num_key_value_heads']
  const nested = readConfig({ model_type: 'gemma3', text_config: text }, 'config.json')
  expect(countParameters(nested)).toEqual(countParameters(builtInModel('gemma-3-4b')))
})
