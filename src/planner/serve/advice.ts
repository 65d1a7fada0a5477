/** Advice for serving: changes of format and batching, each priced, given when they apply and matter. */
import type { Advice, ServeRequest, WeightDtype } from '../types.js'
import { operate } from './batching.js'
import { serveMemory } from './memory.js'
import { computeFormat } from './pass.js'

const LEAST_GAIN = 1.05

/** Output tokens a second at the concurrency asked for, and the time of one. */
function speed(request: ServeRequest): { rate: number; tpotMs: number } {
  const { concurrency, layout, outputTokens } = request
  const memory = serveMemory(request)
  if (!memory.fits) return { rate: 0, tpotMs: Infinity }
  const wanted = concurrency === 'max' ? memory.maxConcurrency : concurrency
  const state = operate(request, Math.max(1, Math.min(wanted, memory.maxConcurrency) / layout.dp))
  return { rate: state.requestsPerS * layout.dp * outputTokens, tpotMs: state.tpotS * 1e3 }
}

const QUANTISATION: Readonly<Record<Exclude<WeightDtype, 'bf16'>, { how: string; source: string }>> = {
  fp8: {
    how: 'static scales from a calibration set where throughput counts, dynamic ones where none is at hand',
    source: 'Kuzmin et al. 2022, arXiv:2208.09225; vLLM and TensorRT Model Optimizer documentation',
  },
  int8: {
    how: 'outliers are moved into the weights first, with static scales',
    source: 'SmoothQuant, arXiv:2211.10438',
  },
  int4: {
    how: 'weights only, after calibration; quantisation-aware training where accuracy suffers',
    source: 'AWQ, arXiv:2306.00978; LLM-QAT, arXiv:2305.17888',
  },
  fp4: {
    how: 'blocks of 16 with scales; quantisation-aware training recovers what calibration does not',
    source: 'NVIDIA, Introducing NVFP4 (2025); LLM-QAT, arXiv:2305.17888',
  },
}

export function serveAdvice(request: ServeRequest): Advice[] {
  const now = speed(request)
  return [...weightFormats(request, now), ...cacheFormat(request, now), ...chunks(request)]
}

type Speed = ReturnType<typeof speed>

function effect(before: Speed, after: Speed): string {
  return `output tokens a second ${Math.round(before.rate)} → ${Math.round(after.rate)}, each ${before.tpotMs.toFixed(1)} → ${after.tpotMs.toFixed(1)} ms`
}

function weightFormats(request: ServeRequest, now: Speed): Advice[] {
  if (request.weights !== 'bf16') return []
  const { gpu } = request.cluster
  return (['fp8', 'int8', 'int4', 'fp4'] as const).flatMap((weights) => {
    const native = weights === 'int4' || !computeFormat(gpu, weights).weightOnly
    // Eight-bit integers only where eight-bit floats are not faster as well.
    if (!native || (weights === 'int8' && gpu.peakTflops.fp8 !== undefined)) return []
    const after = speed({ ...request, weights })
    if (after.rate < now.rate * LEAST_GAIN) return []
    const { how, source } = QUANTISATION[weights]
    return [{ topic: 'quantisation', text: `weights in ${weights}: ${how}`, effect: effect(now, after), source }]
  })
}

function cacheFormat(request: ServeRequest, now: Speed): Advice[] {
  if (request.kvDtype !== 'bf16') return []
  const after = speed({ ...request, kvDtype: 'fp8' })
  if (after.rate < now.rate * LEAST_GAIN) return []
  return [
    {
      topic: 'quantisation',
      text: 'keys and values in fp8',
      effect: effect(now, after),
      source: 'vLLM documentation, Quantized KV Cache; KVQuant, arXiv:2401.18079',
    },
  ]
}

/** A prompt that runs whole stalls every decoding request for its length. */
function chunks(request: ServeRequest): Advice[] {
  if (request.staticBatch !== null || request.promptTokens < 4096) return []
  if (request.chunkedPrefill !== null && request.chunkedPrefill <= 2048) return []
  const { prefillS, tpotS } = operate(request, 8)
  const share = Math.min(1, 2048 / request.promptTokens)
  if (prefillS < 4 * tpotS) return []
  return [
    {
      topic: 'chunked prefill',
      text: 'take prompts in chunks of 2048 tokens',
      effect: `longest gap between tokens ${(prefillS * 1e3).toFixed(0)} → about ${(prefillS * share * 1e3).toFixed(0)} ms`,
      source: 'Sarathi-Serve, arXiv:2403.02310 §4',
    },
  ]
}
