/**
 * One function a table: a row of the published CSV becomes a request and what was measured, or null where the row
 * is not a whole run.
 *
 * What a table leaves out comes from the software's own published settings, named beside it. Nothing here is
 * tuned to make a prediction come out right.
 *
 * @typedef {{ id?: string, kind: 'train' | 'serve', request: Record<string, unknown>, measured: Record<string, number>, fits?: boolean }} Line
 * @typedef {Record<string, string>} Row
 */

/** @param {string | undefined} text */
const num = (text) => Number(text)

/**
 * @param {Record<string, unknown>} request
 * @param {Record<string, number>} measured
 * @returns {Line}
 */
const train = (request, measured) => ({ kind: 'train', request: { ...request, search: false }, measured })

/**
 * GPT as Megatron-LM trained it.
 *
 * @param {{ layers: number, hidden: number, heads: number, seq: number, vocab?: number }} shape
 */
const gpt = ({ layers, hidden, heads, seq, vocab = 51_200 }) =>
  `layers=${layers},hidden=${hidden},heads=${heads},ffn=${4 * hidden},act=gelu,vocab=${vocab},tied=true,bias=true,pos=learned,maxPositions=${seq}`

/**
 * Micro-batch and layers of a virtual stage by model, from the scripts published with the paper
 * (Megatron-LM, examples/sc21/run_table_1.sh).
 *
 * @type {Record<string, [number, number]>}
 */
const SC21 = {
  1.7: [16, 0],
  3.6: [16, 0],
  7.5: [16, 0],
  18.4: [8, 0],
  39.1: [4, 0],
  76.1: [2, 5],
  145.6: [2, 5],
  310.1: [1, 3],
  529.6: [1, 1],
  '1008.0': [1, 0],
}

/** @param {Row} row */
function narayananTable1(row) {
  const [microBatch, each] = SC21[row['params_b'] ?? ''] ?? [1, 0]
  const [layers, pp] = [num(row['layers']), num(row['pp'])]
  const vpp = each > 0 ? layers / pp / each : 1
  const shape = { layers, hidden: num(row['hidden']), heads: num(row['heads']), seq: num(row['seq']) }
  return train(
    {
      shape: gpt(shape),
      gpus: `${row['gpus']}xA100-80G`,
      seq: num(row['seq']),
      globalBatch: num(row['global_batch']),
      microBatch,
      tp: num(row['tp']),
      pp,
      dp: num(row['dp']),
      vpp,
      schedule: vpp > 1 ? 'interleaved' : '1f1b',
      ...megatron2021,
      recompute: 'full',
    },
    { 'throughput.hardwareTflopsPerGpu': num(row['achieved_tflops_gpu']) },
  )
}

/** Megatron-LM of the three A100 papers: no flash attention, FP16 with FP32 gradients, replicated optimizer. */
const megatron2021 = {
  sharding: 'none',
  sequenceParallel: false,
  precision: 'fp16',
  gradDtype: 'fp32',
  attention: 'math',
  framework: 'megatron',
  release: '2021.04',
  mfu: 'causal=full,embeddings=on',
}

/** @param {Row} row */
function narayananTable2(row) {
  const big = row['params_b'] === '529.6'
  const shape = big ? { layers: 105, hidden: 20_480, heads: 128 } : { layers: 96, hidden: 12_288, heads: 96 }
  const gpus = num(row['gpus'])
  const parallel = num(row['model_parallel'])
  const zero = row['scheme'] === 'ZeRO-3'
  const pp = zero ? 1 : parallel / 8
  return train(
    {
      shape: gpt({ ...shape, seq: 2048 }),
      gpus: `${gpus}xA100-80G`,
      seq: 2048,
      globalBatch: num(row['global_batch']),
      microBatch: num(row['micro_batch']),
      tp: zero ? 1 : 8,
      pp,
      dp: gpus / parallel,
      // The paper does not say whether these stages were interleaved; taken as not.
      schedule: '1f1b',
      ...megatron2021,
      recompute: 'full',
      ...(zero ? { sharding: 'zero3', framework: 'deepspeed', gradDtype: 'fp16' } : {}),
    },
    { 'throughput.hardwareTflopsPerGpu': num(row['achieved_tflops_gpu']) },
  )
}

/**
 * Two runs a row: full recomputation without sequence parallelism, and selective with it.
 *
 * @param {Row} row
 * @returns {Line[]}
 */
function korthikanti(row) {
  const [pp, vpp] = [num(row['pp']), num(row['interleave'])]
  const base = {
    shape: gpt({
      layers: num(row['layers']),
      hidden: num(row['hidden']),
      heads: num(row['heads']),
      seq: num(row['seq']),
    }),
    gpus: `${row['gpus']}xA100-80G`,
    seq: num(row['seq']),
    globalBatch: num(row['global_batch']),
    microBatch: num(row['micro_batch']),
    tp: num(row['tp']),
    pp,
    dp: num(row['gpus']) / num(row['tp']) / pp,
    vpp,
    schedule: vpp > 1 ? 'interleaved' : '1f1b',
    ...megatron2021,
    release: '2022.05',
  }
  const selective = { recompute: 'selective', sequenceParallel: true }
  return [
    ...(row['iter_s_full_recompute'] === ''
      ? []
      : [train({ ...base, recompute: 'full' }, { 'time.stepS': num(row['iter_s_full_recompute']) })]),
    train({ ...base, ...selective }, { 'time.stepS': num(row['iter_s_sp_selective']) }),
  ]
}

/** @type {Record<string, string>} */
const ZERO_BUBBLE = { 'ZB-2p': 'zb-2p', 'ZB-1p': 'zb-1p', '1F1B': '1f1b', '1F1B-I': 'interleaved' }

/** @param {Row} row */
function zeroBubble(row) {
  const [layers, pp, microBatch] = [num(row['layers']), num(row['pp_gpus']), num(row['micro_batch'])]
  const schedule = ZERO_BUBBLE[row['schedule'] ?? ''] ?? '1f1b'
  const [hidden, heads, seq] = [num(row['hidden']), num(row['heads']), num(row['seq'])]
  return train(
    {
      shape: gpt({ layers, hidden, heads, seq, vocab: 50_304 }),
      gpus: `${pp}xA100-80G`,
      seq,
      globalBatch: microBatch * num(row['n_microbatch']),
      microBatch,
      tp: 1,
      pp,
      dp: 1,
      // Two layers fewer, so that the embedding and the loss balance the pipeline (section 5.1).
      vpp: schedule === 'interleaved' ? (layers + 2) / pp : 1,
      schedule,
      // Appendix: activations are counted with 5abs², the scores of attention without flash kernels.
      ...megatron2021,
      release: '2023.10',
      recompute: 'none',
    },
    { 'throughput.samplesPerSPerGpu': num(row['samples_gpu_s']), 'memory.allocatedGiB': num(row['mem_gb']) },
  )
}

/** @param {Row} row */
function torchtitan(row) {
  return train(
    {
      model: 'llama-3-8b',
      gpus: `${row['gpus']}xH100-SXM`,
      hbmGib: 95,
      seq: num(row['seq_len']),
      microBatch: num(row['local_batch']),
      globalBatch: num(row['local_batch']) * num(row['gpus']),
      dp: num(row['gpus']),
      sharding: 'fsdp',
      recompute: row['ac'],
      precision: row['dtype'],
      compile: row['extra'] === 'compile',
      framework: 'torchtitan',
      release: '2024.10',
    },
    { 'throughput.tokensPerSPerGpu': num(row['tokens_s_gpu']), 'memory.reservedGiB': num(row['mem_gib']) },
  )
}

/** Llama shapes of the playbook: the only ones that give its parameter counts. */
/** @type {Record<string, string>} */
const NANOTRON = {
  1: 'layers=16,hidden=2048,heads=32,ffn=8192,vocab=131072,tied=true',
  3: 'layers=28,hidden=3072,heads=24,ffn=8192,vocab=131072,tied=true',
  8: 'layers=32,hidden=4096,heads=32,ffn=14336,vocab=131072,tied=false',
  80: 'layers=80,hidden=8192,heads=64,ffn=28672,vocab=131072,tied=false',
}

/**
 * @param {Row} row
 * @param {string} model
 * @param {number} gpus
 */
function nanotronRequest(row, model, gpus) {
  return {
    shape: `${NANOTRON[model]},act=swiglu,pos=rope,bias=false`,
    gpus: `${gpus}xH100-SXM`,
    seq: 4096,
    globalBatch: 256,
    microBatch: num(row['mbs']),
    gradAccum: num(row['grad_accum']),
    tp: num(row['tp']),
    pp: num(row['pp']),
    dp: num(row['dp']),
    schedule: '1f1b',
    sharding: row['zero'] === '0' ? 'none' : 'zero1',
    recompute: 'none',
    precision: 'bf16',
    gradDtype: 'fp32',
    framework: 'nanotron',
    release: '2024.12',
    mfu: 'causal=full,embeddings=on',
  }
}

/** @param {Row} row */
function playbook(row) {
  const model = (row['model'] ?? '').replace('B', '')
  return train(nanotronRequest(row, model, num(row['nodes']) * 8), {
    'throughput.tokensPerSPerGpu': num(row['tokens_s_gpu']),
    'memory.reservedGiB': num(row['mem_gb']),
  })
}

/** @param {Row} row */
function nanotron(row) {
  const model = String(Math.trunc(num(row['params_b'])))
  return train(nanotronRequest(row, model, num(row['gpus'])), {
    'throughput.mfu': num(row['mfu_pct']) / 100,
    'memory.reservedGiB': num(row['mem_gb']),
  })
}

/** @type {Record<string, string>} */
const BRIDGE_MODELS = { LLAMA3_70B: 'llama-3-70b', LLAMA3_8B: 'llama-3-8b', Qwen3_30B_a3B: 'qwen3-30b-a3b' }
/** @type {Record<string, string>} */
const BRIDGE_PRECISIONS = {
  FP8: 'fp8',
  'FP8-CS': 'fp8',
  'FP8-MX': 'mxfp8',
  MXFP8: 'mxfp8',
  NVFP4: 'nvfp4',
  BF16: 'bf16',
  '': 'fp8',
}

/**
 * Cells in brackets are the same run in MXFP8: two runs a row.
 *
 * @param {Row} row
 * @returns {Line[]}
 */
function bridge(row) {
  const variants = Object.values(row).some((value) => /\(\d/u.test(value)) ? [0, 1] : [0]
  return variants.map((variant) => {
    const cell = (/** @type {string} */ name) => {
      const both = /^(?<first>[^(]*)\((?<second>[^)]*)\)$/u.exec(row[name] ?? '')
      const value = both === null ? (row[name] ?? '') : (both.groups?.[variant === 0 ? 'first' : 'second'] ?? '')
      return value.trim()
    }
    const count = (/** @type {string} */ name) => (/^\d+$/u.test(cell(name)) ? num(cell(name)) : 1)
    const release = `20${/^(\d\d\.\d\d)/u.exec(row['release'] ?? '')?.[1]}`
    const precision = row['precision'] === '' ? ['fp8', 'mxfp8'][variant] : BRIDGE_PRECISIONS[cell('precision')]
    const sharded = count('fsdp') > 1
    return train(
      {
        model: BRIDGE_MODELS[(row['model'] ?? '').split(' ')[0] ?? ''],
        trainable: row['mode']?.startsWith('LoRA') ? 'lora:16' : 'all',
        gpus: `${cell('gpus')}x${cell('system').replace('DGX-', '')}`,
        seq: count('seq'),
        globalBatch: count('gbs'),
        microBatch: count('mbs'),
        tp: count('tp'),
        pp: count('pp'),
        cp: count('cp'),
        ep: count('ep'),
        dp: count('gpus') / count('tp') / count('pp') / count('cp'),
        vpp: count('pp') > 1 ? count('vp') : 1,
        schedule: count('pp') > 1 && count('vp') > 1 ? 'interleaved' : '1f1b',
        sequenceParallel: count('tp') > 1,
        sharding: sharded ? 'fsdp' : 'zero1',
        recompute: 'none',
        precision,
        framework: 'megatron',
        release,
      },
      { 'throughput.tokensPerSPerGpu': num(cell('tokens_s_gpu')) },
    )
  })
}

/** MPT: scripts/train/yamls/pretrain of llm-foundry; the counts of the table confirm them. */
/** @type {Record<string, [number, number, number]>} */
const MPT = {
  '125m': [12, 768, 12],
  '350m': [24, 1024, 16],
  '760m': [24, 1536, 12],
  '1b': [24, 2048, 16],
  '3b': [32, 2560, 20],
  '7b': [32, 4096, 32],
  '13b': [40, 5120, 40],
  '30b': [48, 7168, 56],
  '70b': [80, 8192, 64],
}

/** @param {Row} row */
function foundry(row) {
  const [layers, hidden, heads] = MPT[row['Model'] ?? ''] ?? [0, 0, 0]
  const seq = num(row['SeqLen (T)'])
  const gpus = num(row['# GPUs'])
  const precision = row['Precision'] === 'amp_fp8' ? 'fp8' : 'bf16'
  const gpu = { h100_80gb: 'H100-SXM', a100_80gb: 'A100-80G', a100_40gb: 'A100-40G' }[row['GPU'] ?? '']
  return train(
    {
      shape: `${gpt({ layers, hidden, heads, seq, vocab: 50_368 })},dropout=0`,
      gpus: `${gpus}x${gpu}`,
      seq,
      globalBatch: num(row['GlobalBatchSize']),
      microBatch: num(row['MicroBatchSize']),
      gradAccum: num(row['GradAccum']),
      dp: gpus,
      sharding: row['Sharding Strategy'] === 'FULL_SHARD' ? 'fsdp' : 'zero2',
      recompute: row['Activation Checkpointing'] === 'True' ? 'full' : 'none',
      precision,
      gradDtype: row['MP Mode'] === 'PURE' ? 'bf16' : 'fp32',
      framework: 'fsdp',
      // The configurations of that time name attn_impl: triton, the first FlashAttention's twin.
      release: '2023.06',
      ...(gpu === 'H100-SXM' ? {} : { interGbs: 25 }),
    },
    { 'throughput.tokensPerSPerGpu': num(row['Throughput (T/s/GPU)']) },
  )
}

/**
 * trtllm-bench with all requests queued at once (TensorRT-LLM 1.0, performance overview): as many requests in flight
 * as the cache holds; the checkpoints hold keys and values in FP8 as well.
 *
 * @param {Row} row
 * @returns {Line}
 */
function trtllm(row) {
  return {
    kind: 'serve',
    request: {
      model: 'llama-3.1-8b',
      gpus: `${row['tp']}x${row['gpu']}`,
      tp: num(row['tp']),
      weights: row['weights']?.toLowerCase(),
      prompt: num(row['isl']),
      output: num(row['osl']),
      concurrency: 'max',
      framework: 'trtllm',
    },
    measured: { 'throughput.outputTokensPerS': num(row['total_output_tokens_s']) },
  }
}

/** @type {Record<string, (row: Row) => Line | Line[] | null>} */
export const TABLES = {
  narayanan2021_table1_weak_scaling: narayananTable1,
  narayanan2021_table2_zero3_vs_ptdp: narayananTable2,
  korthikanti2022_table3_5_iteration_time: korthikanti,
  zerobubble2024_table4_throughput_memory: zeroBubble,
  torchtitan_h100_96gb_tables_1_3: torchtitan,
  ultrascale_playbook_interactive: playbook,
  'nanotron_v0.5_best_configs': nanotron,
  megatron_bridge_llama3_qwen3_30b: bridge,
  llm_foundry_mpt_mfu_hfu: foundry,
  'trtllm_v1.0_llama3.1_8b': trtllm,
}
