import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findGpu } from '../hardware.js'
import { shippedCalibration } from './calibration.js'
import { collectiveSeconds, groupOf, linksOf, type Collective } from './collectives.js'

const gpu = findGpu('H100')
const links = linksOf(
  { gpu, gpus: 512, gpusPerNode: 8, scaleUpGpus: 8, interGbs: 50, hbmBytes: gpu.hbmBytes },
  shippedCalibration(),
)

/** NCCL's bus bandwidth in GB/s: what a ring would move over one link. */
function busBandwidth(kind: Collective, size: number, bytes: number): number {
  const passes = kind === 'all-reduce' ? 2 : 1
  const seconds = collectiveSeconds(kind, bytes, groupOf(size, 1, 8), links)
  return (passes * bytes * (size - 1)) / size / seconds / 1e9
}

test('inside a node and across two, all-reduce is near the Ultra-Scale Playbook’s bandwidth', () => {
  // 436 GB/s on one node of eight H100, 362 on two: its figure of NCCL's bus bandwidth. Message sizes are not given.
  expect(Math.abs(busBandwidth('all-reduce', 8, 1e9) / 436 - 1)).toBeLessThan(0.25)
  expect(Math.abs(busBandwidth('all-reduce', 16, 1e9) / 362 - 1)).toBeLessThan(0.25)
})

test('bandwidth falls with the number of nodes, as the Playbook measured', () => {
  for (const kind of ['all-reduce', 'all-gather', 'reduce-scatter'] as const) {
    const rates = [8, 16, 32, 64, 128, 256, 512].map((size) => busBandwidth(kind, size, 1e7))
    expect(rates).toEqual(rates.toSorted((a, b) => b - a))
  }
})

test('time grows with bytes, and an all-reduce is not cheaper than a reduce-scatter', () => {
  const size = fc.constantFrom(2, 4, 8, 16, 64, 512)
  fc.assert(
    fc.property(size, fc.integer({ min: 1, max: 1e10 }), (ranks, bytes) => {
      const group = groupOf(ranks, 1, 8)
      const seconds = (kind: Collective, much: number): number => collectiveSeconds(kind, much, group, links)
      expect(seconds('all-gather', bytes * 2)).toBeGreaterThan(seconds('all-gather', bytes))
      expect(seconds('all-reduce', bytes)).toBeGreaterThanOrEqual(seconds('reduce-scatter', bytes))
    }),
  )
})

test('a group of one, and an empty message, cost nothing', () => {
  expect(collectiveSeconds('all-reduce', 1e9, groupOf(1, 1, 8), links)).toBe(0)
  expect(collectiveSeconds('all-to-all', 0, groupOf(8, 1, 8), links)).toBe(0)
})
