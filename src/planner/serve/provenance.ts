/** Formula and source of each part of a serving plan. */
import type { Provenance, ServeRequest } from '../types.js'
import { WEIGHT_BYTES } from './matrices.js'
import { computeFormat } from './pass.js'
import { servingConstants } from './presets.js'

export function serveProvenance({ framework, cluster, weights }: ServeRequest): Provenance[] {
  const constants = servingConstants()
  const { dtype } = computeFormat(cluster.gpu, weights)
  return [
    {
      field: 'memory.weightsGiB',
      formula: `parameters · ${WEIGHT_BYTES[weights]} bytes over tp, pp and ep; embeddings, output projection and norms in 16 bits`,
      source: 'counts equal to transformers on the meta device; formats with the bytes of their scales',
    },
    {
      field: 'memory.workspaceGiB',
      formula: 'activations of the largest pass, logits, graphs, context and buffers of collectives',
      source: constants.frameworks[framework].source,
    },
    {
      field: 'memory.kvBytesPerToken',
      formula:
        'sum over layers of 2 · kvHeads · headDim · bytes, or (kvLoraRank + ropeDim) · bytes for latent attention',
      source: 'Pope et al., arXiv:2211.05102 §3.3; DeepSeek-V2, arXiv:2405.04434 table 1',
    },
    {
      field: 'memory.kvCapacityTokens',
      formula: 'memory share less weights and workspace, over bytes per token',
      source: constants.frameworks[framework].source,
    },
    {
      field: 'latency.prefillMs',
      formula: `2 · active weights · tokens / (${dtype} peak · ${constants.gemmShareOfPeak.values[dtype]}) + causal attention + elementwise bytes / bandwidth + kernel gaps`,
      source: constants.gemmShareOfPeak.source,
    },
    {
      field: 'latency.decodeMsPerToken',
      formula: `max(arithmetic, weight bytes / (HBM · ${constants.weightBandwidthShare.value})) + cache bytes / (HBM · ${constants.kvBandwidthShare.value}) + collectives + host`,
      source: `${constants.weightBandwidthShare.source}; ${constants.kvBandwidthShare.source}`,
    },
    {
      field: 'latency.tpotMs',
      formula: 'mean pass, prompts of other requests included',
      source: 'Sarathi-Serve, arXiv:2403.02310 §4; Orca, OSDI 2022',
    },
    {
      field: 'throughput.requestsPerS',
      formula: 'decoding requests / (output tokens · mean pass), concurrency = throughput · latency',
      source: "Little's law; closed loop of the requests in flight",
    },
    {
      field: 'scaleOut',
      formula: 'Poisson arrivals: 99th percentile of requests in service (M/G/∞), Erlang C for the wait (M/M/c)',
      source: 'Eick, Massey and Whitt 1993; Kleinrock 1975, eq. 3.40',
    },
    {
      field: 'latency.ttftMs',
      formula:
        'half a pass until the request is seen, then its chunks beside the tokens of the others, and the wait for a place',
      source: 'Sarathi-Serve, arXiv:2403.02310 §4',
    },
    {
      field: 'latency.requestMs',
      formula: 'ttftMs + (output − 1) · tpotMs; 80 % intervals widen with the distance from what was measured',
      source: constants.intervals.source,
    },
    { field: 'cost.perMTokens', formula: 'price · gpus / output tokens an hour', source: 'definition' },
    { field: 'hardware', formula: cluster.gpu.name, source: cluster.gpu.sources.join('; ') },
  ]
}
