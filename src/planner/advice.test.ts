import { expect, test } from 'vitest'
import { planServe, planTrain } from './plan.js'
import type { TrainOptions } from './request-options.js'

const topics = (options: TrainOptions): string[] => {
  const plan = planTrain(options)
  expect(plan.status).not.toBe('refused')
  return (plan.advice ?? []).map(({ topic }) => topic)
}

const TIGHT: TrainOptions = {
  model: 'llama-3-8b',
  gpus: '8xH100',
  seq: 8192,
  globalBatch: 64,
  dp: 8,
  tp: 1,
  search: false,
  sharding: 'fsdp',
}

test('a tight run is told how to save memory, and what it costs', () => {
  const { advice = [] } = planTrain(TIGHT)
  const full = advice.find(({ text }) => text === 'recompute whole layers')
  expect(full?.effect).toMatch(/^device memory \d+\.\d GiB → \d+\.\d GiB, step [\d.]+ s → [\d.]+ s$/)
  expect(full?.source).toContain('arXiv:1604.06174')
})

test('each item comes only when it applies', () => {
  expect(topics(TIGHT)).toContain('activation checkpointing')
  expect(topics({ ...TIGHT, recompute: 'full', layers: 4 })).not.toContain('optimizer')
  expect(topics({ ...TIGHT, gpus: '8xA100' })).not.toContain('quantisation')
  expect(topics({ ...TIGHT, precision: 'fp8' })).not.toContain('quantisation')
  expect(topics({ ...TIGHT, framework: 'torchtitan' })).toContain('torch.compile')
  expect(topics({ ...TIGHT, framework: 'torchtitan', compile: 'on' })).not.toContain('torch.compile')
  expect(topics(TIGHT)).not.toContain('NUMA')
  expect(topics({ ...TIGHT, offload: 'optimizer' })).toContain('NUMA')
  expect(topics({ ...TIGHT, fusedLoss: 'on' })).not.toContain('loss')
})

test('recomputation that is not needed is advised against', () => {
  const { advice = [] } = planTrain({ ...TIGHT, model: 'llama-3.2-1b', recompute: 'full' })
  expect(advice.map(({ text }) => text)).toContain('recompute selectively, it fits')
})

test('serving: formats that pay, and chunks for long prompts', () => {
  const wide = planServe({
    model: 'llama-3-8b',
    gpus: '1xH100',
    prompt: 6000,
    output: 100,
    concurrency: 8,
    framework: 'trtllm',
  })
  const texts = (wide.advice ?? []).map(({ text }) => text)
  expect(texts.find((text) => text.startsWith('weights in fp8'))).toBeDefined()
  expect(texts.find((text) => text.startsWith('weights in int8'))).toBeUndefined()
  expect(texts).toContain('take prompts in chunks of 2048 tokens')
  for (const { effect } of wide.advice ?? []) expect(effect).toMatch(/→/)
  const narrow = planServe({
    model: 'llama-3-8b',
    gpus: '1xH100',
    weights: 'fp8',
    kvDtype: 'fp8',
    prompt: 100,
    output: 100,
  })
  expect(narrow.advice).toEqual([])
})
