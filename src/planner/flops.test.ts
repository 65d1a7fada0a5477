import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { trainRequest } from '../../test/plan-request.js'
import { readConfig } from './config.js'
import { forwardFlops, keysPerQuery, trainFlops } from './flops.js'
import { builtInModel } from './models.js'
import { readShape } from './shape.js'

/** Operations by torch's FlopCounterMode; the file names versions and command. */
const golden = JSON.parse(readFileSync(new URL('golden/activations.json', import.meta.url), 'utf8')) as {
  readonly batch: number
  readonly seq: number
  readonly operations: readonly {
    readonly config: { readonly model_type: string }
    readonly forward: number
    readonly both: number
  }[]
}

test.for(golden.operations.map((row) => [row.config.model_type, row] as const))(
  '%s: forward and backward are what FlopCounterMode counts',
  ([, { config, forward, both }]) => {
    const model = readConfig(config, 'config.json')
    const tokens = golden.batch * golden.seq
    const perToken = forwardFlops(model, golden.seq, 'full')
    expect(tokens * (perToken.linear + perToken.attention + perToken.head)).toBe(forward)
    const request = trainRequest(model, { seq: golden.seq, layout: { microBatch: golden.batch } })
    expect(trainFlops(request).modelPerStep).toBe(both)
  },
)

test('a step has the operations of the formula of Narayanan et al. 2021, recomputed layers counted', () => {
  const [l, h, s, V, B] = [96, 12_288, 2048, 51_200, 1536]
  const { model } = readShape({ layers: l, hidden: h, heads: 96, vocab: V, act: 'gelu' })
  const request = trainRequest(model, { seq: s, globalBatch: B, layout: { recompute: { kind: 'full', layers: null } } })
  const published = 96 * B * s * l * h ** 2 * (1 + s / (6 * h) + V / (16 * l * h))
  expect(trainFlops(request).hardwarePerStep / published).toBeCloseTo(1, 12)
})

test('conventions: causal attention by half, the output projection left out', () => {
  const model = builtInModel('llama-3-8b')
  const flops = (mfu: Parameters<typeof trainRequest>[1]) => trainFlops(trainRequest(model, { seq: 8192, ...mfu }))
  const { attention, head } = forwardFlops(model, 8192, 'full')
  const full = flops({}).modelPerStep
  expect(full - flops({ mfu: { causal: 'half' } }).modelPerStep).toBe(8192 * 3 * (attention / 2))
  expect(full - flops({ mfu: { embeddings: false } }).modelPerStep).toBe(8192 * 3 * head)
  expect(flops({ mfu: { embeddings: false, causal: 'half' } }).convention).toBe('causal=half, embeddings=off')
})

test('selective recomputation repeats the attention core alone', () => {
  const model = builtInModel('gpt2')
  const request = trainRequest(model, { seq: 1024, layout: { recompute: { kind: 'selective' } } })
  const { modelPerStep, hardwarePerStep } = trainFlops(request)
  expect(hardwarePerStep - modelPerStep).toBe(1024 * forwardFlops(model, 1024, 'full').attention)
})

test('a window bounds the keys', () => {
  const model = builtInModel('mistral-7b')
  const kind = model.kinds[0]!
  expect(keysPerQuery(kind, model, 2048, 'full')).toBe(2048)
  expect(keysPerQuery(kind, model, 16_384, 'full')).toBe(4096)
  expect(keysPerQuery(kind, model, 4096, 'half')).toBe(2048)
  expect(keysPerQuery(kind, model, 16_384, 'half')).toBe(4096 - 512)
})

test('frozen weights cost two passes, adapters three', () => {
  const model = builtInModel('llama-3-8b')
  const all = trainFlops(trainRequest(model)).modelPerStep
  const lora = trainFlops(trainRequest(model, { trainable: { kind: 'lora', rank: 16 } })).modelPerStep
  expect(lora / all).toBeGreaterThan(2 / 3)
  expect(lora / all).toBeLessThan(0.7)
})
