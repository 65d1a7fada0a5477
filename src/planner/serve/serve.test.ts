import fc from 'fast-check'
import { expect, test } from 'vitest'
import { planServe } from '../plan.js'
import { readOptions } from '../options.js'
import type { ServeOptions } from '../request-options.js'
import type { ServePlan, ServeRequest, ServeResult } from '../types.js'
import { operate } from './batching.js'
import { kvBytesOfRequest, kvBytesPerToken } from './memory.js'
import { expertsTouched } from './pass.js'
import { resolveServe } from './request.js'
import { erlangC, poissonQuantile } from './scale-out.js'

const LLAMA: ServeOptions = { model: 'llama-3.1-8b', gpus: '1xH100', prompt: 1000, output: 1000, weights: 'fp8' }

const request = (options: ServeOptions): ServeRequest =>
  resolveServe(readOptions(options as Record<string, unknown>, 'serve'), '.')

/** A plan that is not refused. */
function planned(options: ServeOptions): ServePlan & ServeResult {
  const plan = planServe(options)
  expect(plan.reason).toBe(null)
  return plan as ServePlan & ServeResult
}

// TensorRT-LLM 1.0, performance overview: trtllm-bench, all requests at once, output tokens a second of one GPU.
test.each([
  ['H100', 1000, 1000, 15_220],
  ['H100', 5000, 500, 3459],
  ['H100', 128, 128, 28_312],
  ['H200', 128, 2048, 26_221],
  ['H200', 20_000, 2000, 1804],
] as const)(
  '%s, prompts of %i, answers of %i: %i tokens a second, within 20 percent',
  (gpu, prompt, output, measured) => {
    const { throughput } = planned({ ...LLAMA, gpus: `1x${gpu}`, prompt, output, framework: 'trtllm' })
    expect(Math.abs(throughput.outputTokensPerS.p50 / measured - 1)).toBeLessThan(0.2)
    expect(throughput.outputTokensPerS.lo80).toBeLessThan(measured)
    expect(throughput.outputTokensPerS.hi80).toBeGreaterThan(measured)
  },
)

test.each([
  // 32 layers · 2 · 8 key-value heads · 128 · 2 bytes
  ['llama-3.1-8b', 'bf16', 131_072],
  ['llama-3.1-8b', 'fp8', 65_536],
  // 32 layers · 2 · 32 heads · 128 · 2 bytes: every head has its own
  ['llama-2-7b', 'bf16', 524_288],
  // 61 layers · (512 + 64) · 2 bytes: DeepSeek-V3, arXiv:2412.19437 §4.2
  ['deepseek-v3', 'bf16', 70_272],
] as const)('cache of %s in %s', (model, kvDtype, bytes) => {
  const gpus = model === 'deepseek-v3' ? '16xH200' : '1xH200'
  expect(kvBytesPerToken(request({ model, gpus, kvDtype }))).toBe(bytes)
})

test('a sliding window stops the cache from growing', () => {
  const windowed = request({
    shape: 'layers=4,hidden=512,heads=8,ffn=1024,vocab=1000,slidingWindow=128',
    gpus: '1xH100',
    prompt: 100,
    output: 100,
  })
  expect(kvBytesOfRequest(windowed, 1000)).toBe(kvBytesOfRequest(windowed, 128))
  expect(kvBytesOfRequest(windowed, 100)).toBe(100 * kvBytesPerToken(windowed))
})

test('more tensor ranks than key-value heads repeat the cache', () => {
  const of = (tp: number): number => kvBytesOfRequest(request({ ...LLAMA, gpus: `${tp}xH100`, tp }), 1000)
  expect(of(8)).toBe(of(1) / 8)
  expect(of(16)).toBe(of(8))
})

test('throughput rises and each token slows down with concurrency', () => {
  const { curve } = planned(LLAMA)
  for (const [at, point] of curve.entries()) {
    const before = curve[at - 1]
    if (before === undefined) continue
    expect(point.outputTokensPerS).toBeGreaterThan(before.outputTokensPerS)
    expect(point.tpotMs).toBeGreaterThan(before.tpotMs)
  }
})

test("the steady state keeps Little's law", () =>
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 512 }),
      fc.integer({ min: 16, max: 8000 }),
      fc.integer({ min: 2, max: 2000 }),
      (concurrency, prompt, output) => {
        const state = operate(request({ ...LLAMA, prompt, output }), concurrency)
        // A request's last token ends its stay, so its stay has output − 1 gaps.
        const stay = state.ttftS + output * state.tpotS
        expect(state.requestsPerS * stay).toBeCloseTo(concurrency, 1)
        expect(state.requestS).toBeLessThanOrEqual(stay)
      },
    ),
    { numRuns: 40 },
  ))

test('continuous batching serves at least what a static batch does', () => {
  const continuous = planned({ ...LLAMA, concurrency: 64 })
  const fixed = planned({ ...LLAMA, staticBatch: 64 })
  expect(continuous.throughput.requestsPerS.p50).toBeGreaterThan(fixed.throughput.requestsPerS.p50)
  // A batch waits for all of its prompts.
  expect(fixed.latency.ttftMs.p50).toBeGreaterThan(continuous.latency.ttftMs.p50)
})

test('quantised weights leave more room and take less time', () => {
  const wide = planned({ ...LLAMA, weights: 'bf16', concurrency: 1 })
  const narrow = planned({ ...LLAMA, weights: 'fp8', concurrency: 1 })
  expect(narrow.memory.weightsGiB).toBeLessThan(wide.memory.weightsGiB * 0.6)
  expect(narrow.memory.kvCapacityTokens).toBeGreaterThan(wide.memory.kvCapacityTokens)
  expect(narrow.latency.tpotMs.p50).toBeLessThan(wide.latency.tpotMs.p50)
  expect(wide.bound).toBe('bandwidth')
})

test('where the chip has no such format, weights are unpacked and the plan says so', () => {
  const { warnings } = planned({ ...LLAMA, gpus: '1xA100', weights: 'fp8' })
  expect(warnings[0]).toContain('A100-80G does not multiply fp8 faster than bf16')
})

test('a model that does not fit gets what would make it fit, and each of that does', () => {
  const options: ServeOptions = { model: 'llama-3-70b', gpus: '4xH100', tp: 1 }
  const plan = planServe(options)
  expect(plan).toMatchObject({ status: 'does-not-fit', memory: { fits: false } })
  expect(plan.reason).toMatch(/^weights 13\d\.\d GiB and workspace .* leave nothing of 90 % of 79\.7 GiB/)
  expect(plan.suggestions).toEqual(['--weights int4', '--tp 2'])
  expect(planServe({ ...options, weights: 'int4' }).status).toBe('ok')
  expect(planServe({ ...options, tp: 2 }).status).toBe('ok')
})

test('the ranks that serve most are chosen, and noted as assumed', () => {
  const { inputs } = planned({ model: 'llama-3-70b', gpus: '8xH100', prompt: 1000, output: 100 })
  expect(Number(inputs['tp']) * Number(inputs['dp'])).toBe(8)
  expect(Number(inputs['tp'])).toBeGreaterThan(1)
  expect(inputs.assumed).toContain('tp')
})

test.each([
  [{ ...LLAMA, gpus: '4xH100', tp: 3 }, 'tp 3 · pp 1 do not divide 4 GPUs'],
  [{ ...LLAMA, gpus: '3xH100', tp: 3 }, 'tp 3 does not divide the heads of llama-3.1-8b'],
  [{ ...LLAMA, gpus: '2xH100', tp: 2, ep: 2 }, 'llama-3.1-8b has no experts for ep 2'],
  [{ ...LLAMA, prompt: 200_000 }, 'prompt and output are 201000 tokens; llama-3.1-8b takes 131072'],
  [{ ...LLAMA, targetP99Ms: 100 }, 'a target latency needs a rate of arrival'],
  [{ model: 'bert-base', gpus: '1xL4' }, 'bert-base is an encoder, which generates nothing'],
  [{ gpus: '1xL4' }, 'there is no model'],
  [{ model: 'llama-3-8b' }, 'gpus are not given'],
] as const)('%j is refused', (options, reason) => {
  const plan = planServe(options)
  expect(plan).toMatchObject({ status: 'refused', reason })
  expect(plan.suggestions.length).toBeGreaterThan(0)
})

test('a rate of arrivals and a target give the least GPUs', () => {
  const scale = (arrivalRps: number): number =>
    planned({ ...LLAMA, output: 200, arrivalRps, targetP99Ms: 8000 }).scaleOut!.gpus
  expect(scale(1)).toBe(1)
  expect(scale(200)).toBeGreaterThan(scale(20))
  const { scaleOut } = planned({ ...LLAMA, output: 200, arrivalRps: 200, targetP99Ms: 8000 })
  expect(scaleOut!.p99Ms).toBeLessThanOrEqual(8000)
})

test('a target that no number of GPUs meets has no answer, and the plan says why', () => {
  const { scaleOut, warnings } = planned({ ...LLAMA, arrivalRps: 1, targetP99Ms: 5 })
  expect(scaleOut).toBe(null)
  expect(warnings.join()).toContain('no number of GPUs keeps 5 ms: one request alone takes')
})

test('cost follows from the price and the tokens', () => {
  const { cost, throughput } = planned({ ...LLAMA, price: 3.6 })
  expect(cost!.perMTokens).toBeCloseTo(1e6 / throughput.outputTokensPerS.p50 / 1000, 10)
})

test('Erlang C and the Poisson quantile', () => {
  // Kleinrock 1975; ten servers and eight erlangs: 0.4092.
  expect(erlangC(10, 8)).toBeCloseTo(0.4092, 4)
  expect(erlangC(1, 0.5)).toBeCloseTo(0.5, 10)
  expect(erlangC(3, 3)).toBe(1)
  fc.assert(
    fc.property(fc.double({ min: 0.01, max: 400, noNaN: true }), (mean) => {
      let [term, sum, n] = [Math.exp(-mean), Math.exp(-mean), 0]
      while (sum < 0.99) {
        n += 1
        term *= mean / n
        sum += term
      }
      expect(poissonQuantile(mean, 0.99)).toBe(n)
    }),
  )
})

test('few tokens touch few experts, many touch all', () => {
  expect(expertsTouched(128, 8, 1)).toBeCloseTo(8, 10)
  expect(expertsTouched(128, 8, 10_000)).toBeCloseTo(128, 6)
})
