import fc from 'fast-check'
import { expect, test } from 'vitest'
import { trainRequest, type RequestDiffers } from '../../test/plan-request.js'
import { inFlight } from './in-flight.js'
import { checkLayout, chunksOf } from './layout.js'
import { builtInModel } from './models.js'
import { readShape } from './shape.js'
import type { Schedule } from './types.js'

const llama = builtInModel('llama-3-8b') // 32 heads, 8 of keys, 32 layers

test('a layout that every rule allows passes', () => {
  const layout = { tp: 8, pp: 4, dp: 2, sequenceParallel: true, microBatches: 8 }
  expect(checkLayout(trainRequest(llama, { layout }))).toBeNull()
})

test('what does not divide is refused with what would work', () => {
  const check = (differs: RequestDiffers, reason: string, suggestion: string, model = llama) => {
    const refusal = checkLayout(trainRequest(model, differs))
    expect(refusal?.reason).toContain(reason)
    expect(refusal?.suggestions.join('; ')).toContain(suggestion)
  }
  check({ layout: { tp: 3 } }, 'tp 3 does not divide 32 heads', 'tp of 1, 2, 4, 8, 16, 32')
  check({ layout: { tp: 4, dp: 2 }, gpus: 16 }, 'is 8 GPUs, not 16', 'dp 4')
  check({ layout: { dp: 2 }, globalBatch: 7 }, 'is 2 sequences, not 7', 'a global batch that dp 2 divides')
  check({ layout: { dp: 2 }, globalBatch: 12 }, 'is 2 sequences, not 12', 'micro-batch of 1, 2, 3, 6')
  check({ layout: { cp: 4 }, seq: 2050 }, 'cp 4 cuts sequences in 8 chunks', 'cp of 1')
  check({ layout: { pp: 2, vpp: 2 } }, 'vpp 2 with schedule 1f1b', 'schedule interleaved')
  check({ layout: { pp: 64, microBatches: 64 } }, 'more than the 32 layers', 'pp × vpp of at most 32')
  check({ layout: { pp: 2, stageLayers: [15, 16] } }, 'are 2 stages of 31 layers', 'stage layers 16,16')
  check({ layout: { ep: 2, dp: 2 } }, 'has no experts', 'ep 1')
  check({ layout: { dp: 8, sharding: { kind: 'hsdp', group: 3 } } }, 'hsdp groups of 3', 'hsdp of 1, 2, 4, 8')
  check({ layout: { ep: 3, dp: 3 } }, 'ep 3 does not divide 8 experts', 'ep of 1', builtInModel('mixtral-8x7b'))
  check({ layout: { dp: 0 } }, 'dp is 0', 'dp 1')
})

test('uneven layers leave room for embedding and output on the ends', () => {
  const { model } = readShape('layers=22,hidden=256,heads=4,vocab=1000')
  const counts = (layout: { pp: number; vpp: number }) =>
    chunksOf(model, { ...layout, stageLayers: null }).map(({ layers }) => layers)
  expect(counts({ pp: 8, vpp: 1 })).toEqual([2, 3, 3, 3, 3, 3, 3, 2])
  expect(counts({ pp: 8, vpp: 3 })).toEqual([0, ...Array<number>(22).fill(1), 0])
})

test('every layer is on exactly one chunk, in order', () =>
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 90 }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 4 }),
      (layers, pp, vpp) => {
        const { model } = readShape({ layers, hidden: 64, heads: 4, vocab: 100 })
        const chunks = chunksOf(model, { pp, vpp, stageLayers: null })
        expect(chunks).toHaveLength(pp * vpp)
        const held = chunks.flatMap((chunk) => Array.from({ length: chunk.layers }, (_, i) => chunk.firstLayer + i))
        expect(held).toEqual([...Array(layers).keys()])
      },
    ),
  ))

test('micro-batches in flight, by schedule', () => {
  const at = (schedule: Schedule, stage: number, vpp = 1) => inFlight({ pp: 8, vpp, schedule, microBatches: 24 }, stage)
  expect(at('gpipe', 0)).toEqual([24])
  expect(at('1f1b', 0)).toEqual([8])
  expect(at('1f1b', 7)).toEqual([1])
  expect(at('zb-h1', 7)).toEqual([8])
  expect(at('zb-2p', 3)).toEqual([15])
  expect(at('interleaved', 0, 3)).toEqual([15, 8, 8])
  expect(at('interleaved', 7, 3)).toEqual([8, 8, 1])
})

test('no schedule holds more micro-batches than there are', () =>
  fc.assert(
    fc.property(
      fc.constantFrom<Schedule>('gpipe', '1f1b', 'interleaved', 'zb-h1', 'zb-h2', 'zb-1p', 'zb-2p'),
      fc.integer({ min: 2, max: 16 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 64 }),
      (schedule, pp, vpp, microBatches) => {
        for (let stage = 0; stage < pp; stage++) {
          for (const held of inFlight({ pp, vpp, schedule, microBatches }, stage)) {
            expect(held).toBeGreaterThanOrEqual(0)
            expect(held).toBeLessThanOrEqual(microBatches)
          }
        }
      },
    ),
  ))
