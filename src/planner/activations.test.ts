import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { layerActivations, type LayerStyle, type MicroBatch } from './activations.js'
import { readConfig } from './config.js'
import { readShape } from './shape.js'

interface LayerCase {
  readonly shape: string
  readonly hidden: number
  readonly heads: number
  readonly kv_heads: number
  readonly ffn: number
  readonly gated: boolean
  readonly attention: 'flash' | 'math'
  readonly mode: 'none' | 'selective' | 'full'
  readonly style: Partial<LayerStyle>
  readonly bytesPerElement: number
  readonly bytes: number
}

/** Kept bytes by torch's saved_tensors_hooks on the CPU; the file names versions and command. */
const golden = JSON.parse(readFileSync(new URL('golden/activations.json', import.meta.url), 'utf8')) as {
  readonly batch: number
  readonly seq: number
  readonly layers: readonly LayerCase[]
  readonly huggingFace: readonly {
    readonly config: Record<string, unknown>
    readonly bytesPerElement: number
    readonly bytes: number
  }[]
}

const STYLE: LayerStyle = { fusedGlu: true, repeatedKv: false, unfusedNorm: false, fp8Inputs: false, selective: 'core' }

function microBatch(differs: Partial<MicroBatch> = {}): MicroBatch {
  const { batch, seq } = golden
  return { tokens: batch * seq, seq, tp: 1, sp: 1, etp: 1, attention: 'flash', bytes: 2, ...differs }
}

test.for(
  golden.layers.map(
    (row) =>
      [`${row.shape}, ${row.attention} attention, recompute ${row.mode}, ${JSON.stringify(row.style)}`, row] as const,
  ),
)('%s: the bytes torch keeps', ([, row]) => {
  const { hidden, heads, kv_heads: kvHeads, ffn, gated } = row
  const act = gated ? 'swiglu' : 'gelu'
  const { model } = readShape({ layers: 1, hidden, heads, kvHeads, ffn, act, vocab: 320, dropout: 0 })
  const batch = microBatch({ attention: row.attention, bytes: row.bytesPerElement })
  const bytes = layerActivations(model.kinds[0]!, model, batch, { ...STYLE, ...row.style })
  expect(bytes[row.mode]).toBe(row.bytes)
})

test.for(golden.huggingFace.map((row) => [row.bytesPerElement, row] as const))(
  'the layers of a Llama of transformers, %i bytes an element: the bytes torch keeps',
  ([bytes, row]) => {
    const model = readConfig(row.config, 'config.json')
    const style = { ...STYLE, fusedGlu: false, unfusedNorm: true }
    const layer = layerActivations(model.kinds[0]!, model, microBatch({ bytes }), style)
    expect(layer.none * model.layerKinds.length).toBe(row.bytes)
  },
)

/** Table 2 of Korthikanti et al. 2022 (arXiv:2205.05198), in units of s·b·h. */
test.for([
  ['no parallelism', 1, 1, (t: number, core: number) => 34 + core / t],
  ['tensor parallelism', 8, 1, (t: number, core: number) => 10 + 24 / t + core / t],
  ['tensor and sequence parallelism', 8, 8, (t: number, core: number) => 34 / t + core / t],
] as const)('%s keeps what Korthikanti et al. count', ([, tp, sp, published]) => {
  // 22B: a = 64, h = 6144, s = 2048, b = 4. Their count leaves out the statistics of the norms.
  const { model } = readShape({ layers: 48, hidden: 6144, heads: 64, vocab: 51_200, act: 'gelu' })
  const [s, b, h, a] = [2048, 4, 6144, 64]
  const batch = microBatch({ tokens: s * b, seq: s, tp, sp, attention: 'math' })
  const { none, selective, full } = layerActivations(model.kinds[0]!, model, batch, STYLE)
  const statistics = (2 * 8 * s * b) / sp
  const core = (5 * a * s) / h
  expect((none - statistics) / (s * b * h)).toBeCloseTo(published(tp, core), 10)
  expect((selective - statistics) / (s * b * h)).toBeCloseTo(published(tp, 0), 10)
  expect(full / (s * b * h)).toBe(2 / sp)
})
