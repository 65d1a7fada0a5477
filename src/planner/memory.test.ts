import fc from 'fast-check'
import { expect, test } from 'vitest'
import { trainRequest, type RequestDiffers } from '../../test/plan-request.js'
import { trainMemory } from './memory.js'
import { builtInModel } from './models.js'
import { countParameters } from './parameters.js'
import { readShape } from './shape.js'
import type { Model, OptimizerName, Sharding, StageMemory } from './types.js'

const GIB = 2 ** 30
const llama = builtInModel('llama-3-8b')
const parameters = countParameters(llama).total

function stage(model: Model, differs: RequestDiffers, index = 0): StageMemory {
  return trainMemory(trainRequest(model, differs)).stages[index]!
}

/** Bytes of weights, gradients and optimizer states for each parameter; gradients are kept over micro-batches. */
function bytesPerParameter(differs: RequestDiffers): number {
  const { weightsGiB, gradsGiB, optimizerGiB } = stage(llama, {
    ...differs,
    layout: { microBatches: 2, ...differs.layout },
  })
  return ((weightsGiB + gradsGiB + optimizerGiB) * GIB) / parameters
}

test('ZeRO divides states as its paper does', () => {
  // Rajbhandari et al. 2020, figure 1: 16, 4 + 12/N, 2 + 14/N and 16/N bytes.
  const check = (kind: 'none' | 'zero1' | 'zero2' | 'zero3', published: number) =>
    expect(bytesPerParameter({ layout: { dp: 64, sharding: { kind } } })).toBeCloseTo(published, 10)
  check('none', 16)
  check('zero1', 4 + 12 / 64)
  check('zero2', 2 + 14 / 64)
  check('zero3', 16 / 64)
})

test("the distributed optimizer has Megatron-LM's bytes", () => {
  // Megatron-LM, docs/source/api-guide/dist_optimizer.md: theoretical memory footprint.
  const layout = { dp: 8, sharding: { kind: 'zero1' } } as const
  expect(bytesPerParameter({ framework: 'megatron', numerics: { gradDtype: 'fp32' }, layout: { dp: 8 } })).toBeCloseTo(
    18,
    1,
  )
  expect(bytesPerParameter({ framework: 'megatron', numerics: { gradDtype: 'fp32' }, layout })).toBeCloseTo(
    6 + 12 / 8,
    1,
  )
  const fp32 = { precision: 'fp32', gradDtype: 'fp32', master: false } as const
  expect(bytesPerParameter({ framework: 'megatron', numerics: fp32, layout })).toBeCloseTo(8 + 8 / 8, 1)
})

test('each optimizer has the states it is known for', () => {
  const bytes = (optimizer: OptimizerName, master = true) => {
    const { optimizerGiB } = stage(llama, { numerics: { optimizer, master } })
    return (optimizerGiB * GIB) / parameters
  }
  expect(bytes('adamw')).toBeCloseTo(12, 10)
  expect(bytes('adamw', false)).toBeCloseTo(4, 10)
  expect(bytes('lamb')).toBeCloseTo(12, 10)
  expect(bytes('lion')).toBeCloseTo(8, 10)
  expect(bytes('sgd-momentum')).toBeCloseTo(8, 10)
  expect(bytes('adam8bit')).toBeCloseTo(4 + 2 + 8 / 256, 10)
  expect(bytes('adafactor')).toBeLessThan(4.01)
  const matrices = parameters - 2 * 128_256 * 4096
  expect(bytes('muon')).toBeCloseTo(4 + (4 * matrices + 8 * (parameters - matrices)) / parameters, 3)
})

test('adapters: frozen weights at 16 or 4 bits, states for the adapters alone', () => {
  const trainable = { kind: 'lora', rank: 16 } as const
  const lora = stage(llama, { trainable })
  const adapters = countParameters(llama, trainable).trainable
  expect(lora.weightsGiB * GIB).toBeCloseTo(2 * parameters + 4 * adapters, -1)
  expect(lora.optimizerGiB * GIB).toBeCloseTo(8 * adapters, -1)
  const qlora = stage(llama, { trainable: { kind: 'qlora', rank: 16 } })
  expect(qlora.weightsGiB).toBeGreaterThan(5) // 7 billion at 4.1 bits, a billion at 16
  expect(qlora.weightsGiB).toBeLessThan(5.6)
})

/**
 * Measured peaks, in GB: Qi et al. 2024 (arXiv:2401.10241), table 4, Megatron-LM on A100, micro-batches 3·p.
 * Nothing here is fitted to them.
 */
const ZERO_BUBBLE: readonly (readonly [schedule: '1f1b' | 'interleaved' | 'zb-1p' | 'zb-2p', gb: readonly number[]])[] =
  [
    ['1f1b', [30, 39, 32, 43]],
    ['interleaved', [40, 48, 39, 58]],
    ['zb-1p', [32, 42, 33, 44]],
    ['zb-2p', [59, 70, 51, 74]],
  ]
const ZERO_BUBBLE_MODELS = [
  { layers: 22, hidden: 2304, heads: 24, pp: 8, microBatch: 6 },
  { layers: 30, hidden: 4096, heads: 32, pp: 8, microBatch: 3 },
  { layers: 46, hidden: 5120, heads: 40, pp: 16, microBatch: 1 },
  { layers: 62, hidden: 6144, heads: 48, pp: 32, microBatch: 1 },
]

test('allocated memory of sixteen measured pipelines is within 5 %, half of them within 2 %', () => {
  const errors = ZERO_BUBBLE.flatMap(([schedule, measured]) =>
    ZERO_BUBBLE_MODELS.map(({ layers, hidden, heads, pp, microBatch }, index) => {
      const { model } = readShape({ layers, hidden, heads, vocab: 50_257, act: 'gelu' })
      const vpp = schedule === 'interleaved' ? (layers + 2) / pp : 1 // one layer a chunk
      const { allocatedGiB } = trainMemory(
        trainRequest(model, {
          seq: 1024,
          framework: 'megatron',
          numerics: { precision: 'fp16', gradDtype: 'fp16', attention: 'math' },
          layout: { pp, vpp, schedule, microBatch, microBatches: 3 * pp },
        }),
      )
      return Math.abs((allocatedGiB.p50 * GIB) / 1e9 / measured[index]! - 1)
    }),
  ).sort((a, b) => a - b)
  expect(errors.at(-1)).toBeLessThan(0.05)
  expect(errors[errors.length / 2]).toBeLessThan(0.02)
})

test('parts add up to what is allocated, reserved and on the device, on every stage', () =>
  fc.assert(
    fc.property(
      fc.constantFrom('none', 'zero1', 'zero2', 'zero3', 'fsdp' as const),
      fc.constantFrom('none', 'selective', 'full' as const),
      fc.constantFrom(1, 2, 4),
      fc.constantFrom(1, 2, 8),
      fc.constantFrom('megatron', 'neutral', 'torchtitan', 'nanotron', 'deepspeed' as const),
      (sharding, recompute, pp, tp, framework) => {
        const layout = {
          pp,
          tp,
          dp: 4,
          microBatches: 4,
          sharding: { kind: sharding } as Sharding,
          recompute: recompute === 'full' ? { kind: recompute, layers: null } : { kind: recompute as 'none' },
        } as const
        const memory = trainMemory(trainRequest(llama, { framework: framework as 'megatron', layout }))
        expect(memory.stages).toHaveLength(pp)
        for (const part of memory.stages) {
          const { weightsGiB, gradsGiB, optimizerGiB, activationsGiB, lossGiB, commGiB, workspaceGiB } = part
          const sum = weightsGiB + gradsGiB + optimizerGiB + activationsGiB + lossGiB + commGiB + workspaceGiB
          expect(part.allocatedGiB).toBeCloseTo(sum, 9)
          expect(part.reservedGiB).toBeGreaterThan(part.allocatedGiB)
          expect(part.deviceGiB).toBeGreaterThan(part.reservedGiB)
        }
        expect(memory.deviceGiB.p50).toBe(memory.stages[memory.worstStage]!.deviceGiB)
      },
    ),
    { numRuns: 60 },
  ))

test('recomputing more, sharding more or fusing the loss never takes more', () => {
  const at = (differs: RequestDiffers) => trainMemory(trainRequest(llama, { seq: 8192, ...differs })).allocatedGiB.p50
  const recompute = (['none', 'selective'] as const).map((kind) => at({ layout: { recompute: { kind } } }))
  const full = at({ layout: { recompute: { kind: 'full', layers: null } } })
  const half = at({ layout: { recompute: { kind: 'full', layers: 16 } } })
  expect(recompute[1]).toBeLessThanOrEqual(recompute[0]!)
  expect(full).toBeLessThan(half)
  expect(half).toBeLessThan(recompute[0]!)
  expect(at({ numerics: { fusedLoss: true } })).toBeLessThan(recompute[0]!)
})

test('a mixture of experts is divided over expert-parallel ranks', () => {
  const model = builtInModel('mixtral-8x7b')
  const one = stage(model, { layout: { dp: 8, microBatches: 2 } })
  const eight = stage(model, { layout: { dp: 8, ep: 8, microBatches: 2 } })
  const routed = 32 * 8 * 3 * 4096 * 14_336
  expect(one.params - eight.params).toBe((routed * 7) / 8)
})
