import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findGpu } from '../hardware.js'
import { shippedCalibration } from './calibration.js'
import { gemmFlops, gemmSeconds } from './gemm.js'
import { machineOf } from './machine.js'

const gpu = findGpu('H100')
const cluster = { gpu, gpus: 1, gpusPerNode: 8, scaleUpGpus: 8, interGbs: 50, hbmBytes: gpu.hbmBytes }
const machine = machineOf(cluster, 'bf16', shippedCalibration())
const format = { rate: machine.gemmRate, bytes: 2 }

/** TFLOP/s of a SwiGLU block of 4096 and `ffn`, 16,384 tokens. */
function block(ffn: number): number {
  const products = [
    { m: 16_384, k: 4096, n: 2 * ffn, groups: 1 },
    { m: 16_384, k: ffn, n: 4096, groups: 1 },
  ]
  const seconds = products.reduce((sum, product) => sum + gemmSeconds(product, format, machine), 0)
  return products.reduce((sum, product) => sum + gemmFlops(product), 0) / seconds / 1e12
}

test('a feed-forward width that is not a multiple of 8 loses what was measured on an H100', () => {
  // Bekman, ML Engineering: 272.73 TFLOP/s at 10922, 398.38 at 10944, 395.01 at 11008.
  expect(block(10_922) / block(10_944)).toBeCloseTo(272.73 / 398.38, 1)
  expect(block(11_008) / block(10_944)).toBeGreaterThan(0.97)
})

test('no shape beats the sustained rate or the memory, and more groups never take less time', () => {
  const size = fc.integer({ min: 1, max: 20_000 })
  fc.assert(
    fc.property(size, size, size, fc.integer({ min: 1, max: 64 }), (m, n, k, groups) => {
      const seconds = gemmSeconds({ m, n, k, groups }, format, machine)
      expect(seconds).toBeGreaterThanOrEqual((gemmFlops({ m, n, k, groups }) / format.rate) * (1 - 1e-9))
      expect(seconds * machine.memoryRate).toBeGreaterThanOrEqual(groups * m * n * 2 * (1 - 1e-9))
      expect(gemmSeconds({ m, n, k, groups: groups + 1 }, format, machine)).toBeGreaterThanOrEqual(seconds * 0.999)
    }),
  )
})

test('tiles and waves: a row that starts another wave costs, and among many waves it does not', () => {
  const rate = (m: number): number => m / gemmSeconds({ m, n: 512, k: 4096, groups: 1 }, format, machine)
  const wave = (256 * machine.computeUnits) / 4 // four tiles of 128 columns
  expect(rate(wave + 1)).toBeLessThan(0.9 * rate(wave))
  expect(rate(40 * wave + 1)).toBeGreaterThan(0.97 * rate(wave))
})
