import { expect, test } from 'vitest'
import { planTrain } from '../plan.js'

const LLAMA = {
  model: 'llama-3-70b',
  gpus: '1024xH100',
  seq: 32_768,
  globalBatch: 1024,
  framework: 'megatron',
} as const

test('a wide search is fast, ranks what fits, and says why the neighbours lost', () => {
  planTrain(LLAMA) // the compiler's warm-up is not the search
  // Processor time, since the clock also counts what else the machine does.
  const start = process.cpuUsage()
  const { search, status } = planTrain(LLAMA)
  const { user, system } = process.cpuUsage(start)
  const ms = (user + system) / 1000
  expect(status).toBe('ok')
  expect(search!.considered).toBeGreaterThan(4000)
  // 10,000 layouts in two seconds: 1.2 s as measured; the rest is for slower machines.
  expect((ms / search!.considered) * 10_000).toBeLessThan(4000)
  expect(search!.best).toHaveLength(5)
  const times = search!.best.map(({ stepS }) => stepS.p50)
  expect(times).toEqual(times.toSorted((a, b) => a - b))
  for (const { deviceGiB, why } of search!.best) {
    expect(deviceGiB.p50).toBeLessThanOrEqual(80)
    expect(why).not.toBe('')
  }
  expect(search!.rejected.length).toBeGreaterThan(3)
  expect(
    search!.rejected.some(({ reason }) => /does not fit: [\d.]+ of \d+ GiB on stage \d+, .+ bind/.test(reason)),
  ).toBe(true)
  expect(search!.rejected.some(({ reason }) => /\d+ % slower: /.test(reason))).toBe(true)
})

test('the Pareto front gets slower and smaller', () => {
  const front = planTrain(LLAMA).search!.pareto
  expect(front.length).toBeGreaterThan(2)
  for (const [at, point] of front.entries()) {
    if (at === 0) continue
    expect(point.stepS).toBeGreaterThanOrEqual(front[at - 1]!.stepS)
    expect(point.deviceGiB).toBeLessThan(front[at - 1]!.deviceGiB)
  }
})

test('what the user states is kept', () => {
  const { search } = planTrain({ ...LLAMA, tp: 8, recompute: 'selective', microBatch: 2 })
  for (const { layout } of search!.best) {
    expect(layout).toMatchObject({ tp: 8, microBatch: 2, recompute: { kind: 'selective' } })
  }
})

test('the chosen layout, planned alone, is the same plan', () => {
  const found = planTrain({ model: 'llama-3-8b', gpus: '8xH100', seq: 8192, globalBatch: 64 })
  const { tp, pp, vpp, dp, cp, microBatch, sharding, recompute, schedule, sequenceParallel } =
    found.search!.best[0]!.layout
  const alone = planTrain({
    model: 'llama-3-8b',
    gpus: '8xH100',
    seq: 8192,
    globalBatch: 64,
    search: false,
    tp,
    pp,
    vpp,
    dp,
    cp,
    microBatch,
    schedule,
    sequenceParallel,
    sharding: sharding.kind,
    recompute: recompute.kind,
  })
  expect(alone.time).toEqual(found.time)
  expect(alone.memory).toEqual(found.memory)
})

test('when nothing fits, the nearest layout is shown with what it lacks', () => {
  const plan = planTrain({ model: 'llama-3.1-405b', gpus: '8xA100', seq: 8192, globalBatch: 64 })
  expect(plan.status).toBe('does-not-fit')
  expect(plan.reason).toMatch(/no layout fits; the nearest needs [\d.]+ of 80 GiB on stage \d+/)
  expect(plan.suggestions.join()).toMatch(/\d+ GPUs/)
  expect(plan.search!.best).toEqual([])
})

test('a batch that no layout divides is refused', () => {
  const plan = planTrain({ model: 'llama-3-8b', gpus: '16xH100', seq: 8192, globalBatch: 7, tp: 1, pp: 1 })
  expect(plan.status).toBe('refused')
  expect(plan.suggestions.length).toBeGreaterThan(0)
})

test('ranks that divide nothing are refused with those that do', () => {
  const refused = (options: object): [string | null, readonly string[]] => {
    const { status, reason, suggestions } = planTrain({ model: 'llama-3-8b', gpus: '8xH100', seq: 8192, ...options })
    expect(status).toBe('refused')
    return [reason, suggestions]
  }
  expect(refused({ tp: 3 })).toEqual(['tp 3 does not divide 8 GPUs', ['tp of 1, 2, 4, 8']])
  expect(refused({ tp: 4, pp: 4 })[0]).toMatch(/4 .* 4 .*8 GPUs/)
})
