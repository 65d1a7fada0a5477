import { expect, test } from 'vitest'
import { findGpu, hardwareTable, parseGpus, withHardware } from './hardware.js'
import { PlanRefusal } from './refusal.js'

/** What a call is refused with. */
function refusal(call: () => unknown): { reason: string; suggestions: readonly string[] } {
  try {
    call()
  } catch (error) {
    if (error instanceof PlanRefusal) return { reason: error.reason, suggestions: error.suggestions }
    throw error
  }
  throw new Error('was not refused')
}

test.each([
  ['64xH100', 64, 'H100-SXM'],
  ['64xH100-SXM', 64, 'H100-SXM'],
  ['8 x NVIDIA H100 SXM5 80GB', 8, 'H100-SXM'],
  ['16xA100-80G', 16, 'A100-80G'],
  ['16×a100-40gb', 16, 'A100-40G'],
  ['1xL40S', 1, 'L40S'],
  ['72xGB300', 72, 'GB300'],
  ['1xRTX 4090', 1, 'RTX-4090'],
  ['256xTPU v5e', 256, 'TPU-v5e'],
  ['8xMI300X', 8, 'MI300X'],
])('%s', (text, gpus, name) => {
  const parsed = parseGpus(text)
  expect([parsed.gpus, parsed.gpu.name]).toEqual([gpus, name])
})

test('the table has every accelerator that was promised, each with sources and a peak', () => {
  const promised =
    'V100-16G V100-32G A100-40G A100-80G H100 H100-PCIe H200 B200 B300 GB200 GB300 L4 L40S A10 4090 MI300X v4 v5e v5p v6e'
  for (const name of promised.split(' ')) {
    const gpu = findGpu(name)
    expect(gpu.sources.length, name).toBeGreaterThan(0)
    expect(Object.keys(gpu.peakTflops).length, name).toBeGreaterThan(0)
  }
})

test('no two records answer to one name', () => {
  const { gpus, byName } = hardwareTable()
  for (const gpu of gpus) expect(findGpu(gpu.name).name).toBe(gpu.name)
  expect(new Set(byName.values()).size).toBe(gpus.length)
})

test('H100 is the SXM5 of 80 GB', () => {
  const { hbmBytes, hbmGbs, peakTflops, scaleUpGpus } = findGpu('H100')
  expect(hbmBytes / 2 ** 30).toBeCloseTo(79.65)
  expect([hbmGbs, peakTflops.bf16, scaleUpGpus]).toEqual([3350, 989.4, 8])
})

test('an unknown accelerator is refused with the nearest names', () => {
  expect(refusal(() => parseGpus('8xH10')).suggestions[0]).toMatch(/did you mean .*H100-SXM/)
  expect(refusal(() => parseGpus('8xA100-60G')).suggestions[0]).toMatch(/did you mean A100/)
  expect(refusal(() => parseGpus('8xabacus')).suggestions[0]).toMatch(/known are .*GB300/)
  expect(refusal(() => parseGpus('H100'))).toEqual({
    reason: "gpus: 'H100' is not a count and a name",
    suggestions: ['write 1xH100'],
  })
  expect(refusal(() => parseGpus('0xH100')).reason).toContain("'0xH100'")
})

test("a user's record is found before the built-in ones, and may start from one of them", () => {
  const table = withHardware({ like: 'H100', name: 'H100-120G', hbmGib: 118, sources: ['data sheet'] }, 'own.json')
  expect(parseGpus('8xH100-120G', table).gpu).toMatchObject({ hbmBytes: 118 * 2 ** 30, hbmGbs: 3350 })
  expect(parseGpus('8', table).gpu.name).toBe('H100-120G')
  expect(parseGpus('8xH100', table).gpu.name).toBe('H100-SXM')
})

test('a bad record is refused with its fields', () => {
  const bad = { like: 'H100', name: 'mine', hbmGib: -1, hbmgbs: 3 }
  const { reason } = refusal(() => withHardware(bad, 'own.json'))
  expect(reason).toMatch(/^own\.json: .*hbmGib.*sources.*hbmgbs/)
  expect(refusal(() => withHardware({ like: 'H1000', name: 'a' }, 'own.json')).reason).toContain("like 'H1000'")
})
