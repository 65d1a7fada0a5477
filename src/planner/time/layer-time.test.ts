import { expect, test } from 'vitest'
import { readOptions } from '../options.js'
import { withPreset } from '../train-plan.js'
import { resolveTrain } from '../train-request.js'
import { shippedCalibration } from './calibration.js'
import { layerSeconds, sumParts } from './layer-time.js'
import { pricingOf } from './step-time.js'

/** Milliseconds of a layer, forward and backward with recomputation. */
function layer(options: Record<string, unknown>): { forward: number; backward: number } {
  const request = withPreset(resolveTrain(readOptions({ search: false, ...options }, 'train'), '.'))
  const pricing = pricingOf(request, request.layout, shippedCalibration())
  const seconds = layerSeconds(request.model.kinds[0]!, pricing)
  const again = sumParts(seconds.recompute[request.layout.recompute.kind])
  const backward = sumParts(seconds.backwardInput) + sumParts(seconds.backwardWeight) + again
  return { forward: 1000 * sumParts(seconds.forward), backward: 1000 * backward }
}

const GPT_22B = {
  shape: 'layers=48,hidden=6144,heads=64,ffn=24576,act=gelu,vocab=51200',
  gpus: '8xA100-80G',
  seq: 2048,
  globalBatch: 4,
  microBatch: 4,
  tp: 8,
  precision: 'fp16',
  attention: 'math',
  framework: 'megatron',
  release: '2022.05',
  sharding: 'none',
}

test('a layer of the 22B model takes what Korthikanti et al. 2022, table 4, measured, in each mode', () => {
  const modes: [Record<string, unknown>, number, number][] = [
    [{ sequenceParallel: false, recompute: 'none' }, 7.7, 11.9],
    [{ sequenceParallel: true, recompute: 'none' }, 7.2, 11.8],
    [{ sequenceParallel: false, recompute: 'full' }, 7.7, 19.5],
    [{ sequenceParallel: false, recompute: 'selective' }, 7.7, 13.2],
    [{ sequenceParallel: true, recompute: 'selective' }, 7.2, 13.1],
  ]
  for (const [mode, forward, backward] of modes) {
    const seconds = layer({ ...GPT_22B, ...mode })
    expect(Math.abs(seconds.forward / forward - 1), JSON.stringify({ mode, ...seconds })).toBeLessThan(0.12)
    expect(Math.abs(seconds.backward / backward - 1), JSON.stringify({ mode, ...seconds })).toBeLessThan(0.12)
  }
})

test('without flash kernels time grows with the number of heads at the same size', () => {
  const heads = (count: number): number =>
    layer({ ...GPT_22B, shape: `layers=1,hidden=6144,heads=${count},ffn=24576,act=gelu,vocab=51200` }).forward
  expect(heads(64)).toBeGreaterThan(heads(48))
  expect(heads(96)).toBeGreaterThan(heads(64))
})

test('heads that are no multiple of 8 lose what BigScience measured: 152 to 106 TFLOP/s', () => {
  const heads = (count: number): number => {
    const { forward, backward } = layer({
      ...GPT_22B,
      shape: `layers=78,hidden=13824,heads=${count},ffn=55296,act=gelu,vocab=250680`,
      gpus: '4xA100-80G',
      tp: 4,
      recompute: 'full',
    })
    return forward + backward
  }
  expect(heads(64) / heads(128)).toBeCloseTo(105.54 / 152.21, 1)
})

test('frozen weights save the weight gradients, and recomputing all layers costs a forward pass', () => {
  const base = { ...GPT_22B, recompute: 'none', tp: 1, globalBatch: 32 }
  const plain = layer(base)
  expect(layer({ ...base, trainable: 'lora:16' }).backward).toBeLessThan(0.8 * plain.backward)
  expect(layer({ ...base, recompute: 'full' }).backward).toBeCloseTo(plain.backward + plain.forward, 6)
})
