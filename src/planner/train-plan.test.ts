import fc from 'fast-check'
import { expect, test } from 'vitest'
import { planTrain } from './plan.js'
import type { Quantity } from './types.js'

const BASE = { model: 'llama-3-8b', gpus: '64xH100', seq: 8192, globalBatch: 256, search: false } as const

test('parts add up to the step, and throughput is its inverse', () => {
  const layouts = fc.record({
    tp: fc.constantFrom(1, 2, 4, 8),
    pp: fc.constantFrom(1, 2, 4),
    cp: fc.constantFrom(1, 2),
    microBatch: fc.constantFrom(1, 2),
    recompute: fc.constantFrom('none', 'selective', 'full'),
    sharding: fc.constantFrom('none', 'zero1', 'zero2', 'zero3', 'fsdp', 'hsdp:2'),
    schedule: fc.constantFrom('gpipe', '1f1b', 'zb-h1', 'zb-h2', 'zb-1p', 'zb-2p'),
    precision: fc.constantFrom('bf16', 'fp8', 'fp32'),
    optimizer: fc.constantFrom('adamw', 'adam8bit', 'adafactor', 'lion', 'lamb', 'muon', 'sgd-momentum'),
    offload: fc.constantFrom('none', 'optimizer', 'params', 'activations'),
    trainable: fc.constantFrom('all', 'lora:16'),
    framework: fc.constantFrom('neutral', 'megatron', 'deepspeed', 'fsdp', 'torchtitan', 'nanotron', 'maxtext'),
  })
  fc.assert(
    fc.property(layouts, (layout) => {
      const plan = planTrain({ ...BASE, ...layout })
      if (plan.status === 'refused') return // hsdp groups do not divide every layout
      const { time, throughput } = plan
      const parts = Object.values(time!.parts)
      for (const part of parts) expect(part).toBeGreaterThanOrEqual(0)
      expect(parts.reduce((sum, part) => sum + part, 0)).toBeCloseTo(time!.stepS.p50, 9)
      expect(throughput!.tokensPerS.p50 * time!.stepS.p50).toBeCloseTo(256 * 8192, 3)
      for (const quantity of [time!.stepS, ...(Object.values(throughput!) as (Quantity | number)[])]) {
        if (typeof quantity === 'number') continue
        expect(quantity.lo80).toBeLessThan(quantity.p50)
        expect(quantity.p50).toBeLessThan(quantity.hi80)
      }
      expect(throughput!.hfu.p50).toBeLessThan(1)
    }),
    { numRuns: 150 },
  )
})

test('totals follow from tokens and price', () => {
  const { total, throughput } = planTrain({ ...BASE, tokens: '15T', price: 2 })
  const seconds = 15e12 / throughput!.tokensPerS.p50
  expect(total!.days).toBeCloseTo(seconds / 86_400, 6)
  expect(total!.gpuHours).toBeCloseTo((seconds / 3600) * 64, 3)
  expect(total!.cost).toBeCloseTo(total!.gpuHours * 2, 3)
})

test('the loader must deliver four bytes a token where the vocabulary needs them', () => {
  const { dataMBs, throughput } = planTrain(BASE)
  expect(dataMBs).toBeCloseTo((throughput!.tokensPerS.p50 * 4) / 1e6, 9)
  const small = planTrain({ ...BASE, model: 'gpt2', seq: 1024 })
  expect(small.dataMBs).toBeCloseTo((small.throughput!.tokensPerS.p50 * 2) / 1e6, 9)
})

test('a chip no table measured is planned with a warning and a wider interval', () => {
  const width = ({ p50, hi80 }: Quantity): number => hi80 / p50
  const known = planTrain(BASE)
  const unknown = planTrain({ ...BASE, gpus: '64xMI300X' })
  expect(unknown.warnings!.join()).toContain('no published run')
  expect(width(unknown.time!.stepS)).toBeGreaterThan(width(known.time!.stepS))
})

/** Paths of all numbers in a value; elements of lists are `[]`. */
function numbersOf(value: unknown, path: string): string[] {
  if (typeof value === 'number') return value === 0 ? [] : [path]
  if (Array.isArray(value)) return value.flatMap((one) => numbersOf(one, `${path}[]`))
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => numbersOf(inner, path === '' ? key : `${path}.${key}`))
}

test('every number has a formula and a source', () => {
  const { params, flops, time, throughput, memory, total, dataMBs, provenance } = planTrain({
    ...BASE,
    model: 'qwen3-30b-a3b',
    tp: 2,
    pp: 2,
    cp: 2,
    ep: 4,
    microBatch: 1,
    offload: 'optimizer',
    recompute: 'full',
    tokens: 1e12,
    price: 2,
  })
  const fields = provenance!.map(({ field }) => field)
  // A stage's sums are those of the whole; which stage is meant is no estimate.
  const plain = new Set(['memory.worstStage', 'memory.stages[].stage', 'memory.stages[].params'])
  const sums = /^memory\.stages\[\]\.(allocated|reserved|device)GiB$/u
  const unsourced = numbersOf({ params, flops, time, throughput, memory, total, dataMBs }, '')
    .map((path) => path.replace(sums, 'memory.$1GiB'))
    .filter((path) => !plain.has(path) && !fields.some((field) => path === field || path.startsWith(`${field}.`)))
  expect(unsourced).toEqual([])
  for (const { formula, source } of provenance!) expect([formula, source]).not.toContain('')
})
