/**
 * How requests share a replica: continuous batching in its steady state, and static batches.
 *
 * Continuous batching is a closed loop of N requests (Little's law, N = throughput × time in the system): of them
 * `decoding` are past their prompt. Every pass gives each of those one token and works off prompt tokens at the rate
 * at which requests finish, decoding · prompt / output on average. Prompt tokens come in chunks, so passes with a
 * chunk and passes without alternate (Sarathi-Serve, arXiv:2403.02310 §4).
 */
import type { ServeRequest } from '../types.js'
import { type Pass, type PassParts, passParts, seconds } from './pass.js'
import { servingConstants } from './presets.js'

/** A replica in its steady state. */
export interface Operation {
  /** Requests of this replica in flight. */
  readonly concurrency: number
  readonly decoding: number
  /** A prompt alone, and one pass without any prompt, in seconds. */
  readonly prefillS: number
  readonly decodeS: number
  readonly ttftS: number
  readonly tpotS: number
  readonly requestS: number
  readonly requestsPerS: number
  /** Shares of a mean pass. */
  readonly parts: PassParts
}

const zero: PassParts = { compute: 0, weights: 0, promptAttention: 0, cache: 0, communication: 0, overhead: 0 }

function mixed(a: PassParts, b: PassParts, shareOfB: number): PassParts {
  const keys = Object.keys(zero) as (keyof PassParts)[]
  return Object.fromEntries(
    keys.map((key) => [key, a[key] * (1 - shareOfB) + b[key] * shareOfB]),
  ) as unknown as PassParts
}

/** Pipeline stages work on a share of the requests each, so a pass is one over that share, through all stages. */
function timed(request: ServeRequest, pass: Pass): PassParts {
  const { pp } = request.layout
  if (pp === 1) return passParts(request, pass)
  const share = (value: number): number => value / pp
  return passParts(request, {
    ...pass,
    decode: share(pass.decode),
    prefill: share(pass.prefill),
    finished: share(pass.finished),
  })
}

/** Tokens of a prompt that one pass takes. */
const chunkOf = ({ promptTokens, chunkedPrefill }: ServeRequest): number =>
  Math.min(promptTokens, chunkedPrefill ?? promptTokens)

export function prefillSeconds(request: ServeRequest, prompts = 1): number {
  const { promptTokens } = request
  const pass = { decode: 0, context: 0, prefill: promptTokens * prompts, prompt: promptTokens, finished: prompts }
  return seconds(passParts(request, pass))
}

/** The steady state with `decoding` requests past their prompt. */
function state(request: ServeRequest, decoding: number): Operation {
  const { promptTokens, outputTokens } = request
  const context = promptTokens + outputTokens / 2
  const chunk = chunkOf(request)
  const arriving = (decoding * promptTokens) / outputTokens
  // Below one chunk a pass, some passes have one and others none; above, every pass has more than one.
  const withChunk = Math.min(1, arriving / chunk)
  const prefill = Math.max(chunk, arriving)
  const plain = timed(request, { decode: decoding, context, prefill: 0, prompt: promptTokens, finished: 0 })
  const loaded = timed(request, {
    decode: decoding,
    context,
    prefill,
    prompt: promptTokens,
    finished: prefill / promptTokens,
  })
  const parts = mixed(plain, loaded, withChunk)
  const tpotS = seconds(parts)
  // Half a pass until the request is seen, then its own chunks beside everyone's tokens.
  const ttftS = tpotS / 2 + Math.ceil(promptTokens / chunk) * seconds(loaded)
  const requestsPerS = decoding / (outputTokens * tpotS)
  return {
    concurrency: decoding + requestsPerS * ttftS,
    decoding,
    prefillS: prefillSeconds(request),
    decodeS: seconds(plain),
    ttftS,
    tpotS,
    requestS: ttftS + (outputTokens - 1) * tpotS,
    requestsPerS,
    parts,
  }
}

/** A replica that holds `concurrency` requests in flight. */
export function continuousBatching(request: ServeRequest, concurrency: number): Operation {
  // Concurrency grows with `decoding`, so bisection finds the state.
  let [low, high] = [0, concurrency]
  for (let turn = 0; turn < 40; turn++) {
    const middle = (low + high) / 2
    if (state(request, middle).concurrency < concurrency) low = middle
    else high = middle
  }
  return { ...state(request, Math.max(high, 1e-9)), concurrency }
}

/** Requests in flight when a replica serves `requestsPerS`, which it must be able to. */
export function concurrencyAt(request: ServeRequest, requestsPerS: number, most: number): number {
  // Throughput grows with `decoding` as well, so no state has to be solved for twice.
  let [low, high] = [0, most]
  for (let turn = 0; turn < 40; turn++) {
    const middle = (low + high) / 2
    if (state(request, middle).requestsPerS < requestsPerS) low = middle
    else high = middle
  }
  return state(request, high).concurrency
}

/** A batch of `size` from its prompts to its last token; nothing joins or leaves in between. */
export function staticBatching(request: ServeRequest, size: number): Operation {
  const { promptTokens, outputTokens } = request
  const prefillS = prefillSeconds(request, size)
  const pass = {
    decode: size,
    context: promptTokens + outputTokens / 2,
    prefill: 0,
    prompt: promptTokens,
    finished: 0,
  }
  const parts = timed(request, pass)
  const tpotS = seconds(parts)
  const requestS = prefillS + (outputTokens - 1) * tpotS
  return {
    concurrency: size,
    decoding: size,
    prefillS: prefillSeconds(request),
    decodeS: tpotS,
    ttftS: prefillS,
    tpotS,
    requestS,
    requestsPerS: size / requestS,
    parts,
  }
}

export function operate(request: ServeRequest, concurrency: number): Operation {
  if (request.staticBatch !== null) return staticBatching(request, Math.min(request.staticBatch, concurrency))
  return continuousBatching(request, concurrency)
}

/** Requests a replica takes at most, whatever the memory. */
export const mostRequests = ({ framework }: ServeRequest): number =>
  servingConstants().frameworks[framework].maxRequests
