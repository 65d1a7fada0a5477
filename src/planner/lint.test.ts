import { expect, test } from 'vitest'
import { type LintFinding, lintModel } from './lint.js'

const SHAPE = { layers: 24, hidden: 4096, heads: 32, headDim: 128, ffn: 11_008, vocab: 32_000, act: 'swiglu' }

function findings(change: Record<string, unknown>, options: Record<string, unknown> = {}): readonly LintFinding[] {
  const report = lintModel({ shape: { ...SHAPE, ...change }, gpus: '1xH100', ...options })
  expect(report.reason).toBe(null)
  return report.findings
}

test('a well shaped model has nothing to mend', () => {
  expect(findings({})).toEqual([])
  expect(lintModel({ model: 'llama-3-8b' }).findings).toEqual([])
})

test('each finding names what to write instead, and its effect is a gain', () => {
  const found = findings({ heads: 51, headDim: 80, ffn: 10_922, vocab: 50_257 })
  expect(found.map(({ field }) => field).sort()).toEqual(['ffn', 'headDim', 'heads', 'vocab'])
  for (const { effect, suggestion, source } of found) {
    const gain = effect.unit === 'ms' ? effect.before / effect.after : effect.after / effect.before
    expect(gain).toBeGreaterThan(1)
    expect(suggestion).not.toBe('')
    expect(source).not.toBe('')
  }
})

test('a feed forward width off the tensor core’s rows loses about a quarter, as measured on H100', () => {
  // Bekman, Machine Learning Engineering: 273 against 396 TFLOP/s for 10922 and 10944 at a hidden size of 4096.
  const [finding] = findings({ ffn: 10_922 })
  expect(finding).toMatchObject({ field: 'ffn', value: 10_922, suggestion: '10944' })
  const loss = 1 - finding!.effect.before / finding!.effect.after
  expect(loss).toBeGreaterThan(0.12)
  expect(loss).toBeLessThan(0.35)
})

test('what is aligned alone may not be over ranks', () => {
  expect(findings({ ffn: 11_008 }, { tp: 8 }).map(({ field }) => field)).toContain('ffn')
})

test('small micro-batches starve experts', () => {
  const found = findings({ experts: 64, topK: 2, moeFfn: 1408 }, { seq: 512 })
  expect(found.map(({ problem }) => problem).join()).toContain('an expert sees 16 tokens of a micro-batch')
})

test('a bad request is refused', () => {
  expect(lintModel({ model: 'lama-3-8b' })).toMatchObject({ status: 'refused', findings: [] })
})
