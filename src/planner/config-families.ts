/**
 * What the keys of a Hugging Face `config.json` mean, one function an architecture.
 *
 * Each follows the modelling code of `transformers` (5.23); parameter counts are compared with it
 * (`parameters.test.ts`). Defaults stand only where the architecture's own configuration class has them and
 * published files leave the key out.
 */
import type { ConfigFields } from './config-fields.js'
import type { DenseMlp, ExpertMlp, GroupedAttention, LayerKind, Mlp, Model } from './types.js'

/** What most decoders since Llama share; each family overrides what differs. */
export type Parts = Omit<Model, 'name' | 'family' | 'kinds' | 'layerKinds'> & { readonly layers: readonly LayerKind[] }

// --- Parts that families share ---------------------------------------------------------------------------------

function grouped(fields: ConfigFields, differs: Partial<GroupedAttention> = {}): GroupedAttention {
  const heads = differs.heads ?? fields.count('num_attention_heads')
  const kvHeads = differs.kvHeads ?? fields.optionalCount('num_key_value_heads') ?? heads
  return {
    kind: 'grouped',
    heads,
    kvHeads,
    headDim: fields.optionalCount('head_dim') ?? fields.count(['hidden_size', 'n_embd', 'd_model']) / heads,
    qkvBias: false,
    outBias: false,
    qkNorm: 'none',
    window: null,
    sinks: false,
    ...differs,
  }
}

function dense(fields: ConfigFields, differs: Partial<DenseMlp> = {}): DenseMlp {
  return {
    kind: 'dense',
    act: 'silu',
    gated: true,
    ffn: differs.ffn ?? fields.count('intermediate_size'),
    bias: false,
    ...differs,
  }
}

function experts(fields: ConfigFields, differs: Partial<ExpertMlp> = {}): ExpertMlp {
  return {
    kind: 'experts',
    act: 'silu',
    gated: true,
    experts: differs.experts ?? fields.count(['num_experts', 'num_local_experts', 'n_routed_experts']),
    topK: differs.topK ?? fields.count(['num_experts_per_tok', 'experts_per_token']),
    ffn: differs.ffn ?? fields.count(['moe_intermediate_size', 'intermediate_size']),
    bias: false,
    sharedFfn: 0,
    sharedGate: false,
    routerBias: false,
    ...differs,
  }
}

/** A decoder like Llama, with layers as given. */
function decoder(fields: ConfigFields, layers: readonly LayerKind[], differs: Partial<Parts> = {}): Parts {
  return {
    hidden: fields.count(['hidden_size', 'n_embd', 'd_model']),
    layers,
    vocab: fields.count('vocab_size', differs.vocab),
    tiedEmbeddings: fields.flag('tie_word_embeddings', differs.tiedEmbeddings ?? false),
    headBias: false,
    norm: 'rmsnorm',
    normBias: false,
    finalNorm: true,
    positions: 'rope',
    positionRows: 0,
    parallelBlocks: false,
    causal: true,
    encoder: null,
    maxPositions: fields.optionalCount(['max_position_embeddings', 'n_positions', 'max_seq_len']),
    dropout: fields.number('attention_dropout', 0),
    ...differs,
  }
}

function layerCount(fields: ConfigFields): number {
  return fields.count(['num_hidden_layers', 'n_layer', 'n_layers'])
}

/** The same layer throughout, but for a window on the layers `slides` names. */
function layersOf(fields: ConfigFields, options: LayerOptions): LayerKind[] {
  const { attention, norms = 2, window = null, slides = () => true } = options
  const named = fields.list('layer_types')
  return Array.from({ length: layerCount(fields) }, (_, layer) => {
    const sliding = window !== null && (named === null ? slides(layer) : named[layer] === 'sliding_attention')
    const mlp = typeof options.mlp === 'function' ? options.mlp(layer) : options.mlp
    return { attention: sliding ? { ...attention, window } : attention, mlp, norms }
  })
}

interface LayerOptions {
  readonly attention: GroupedAttention
  readonly mlp: Mlp | ((layer: number) => Mlp)
  readonly norms?: number
  readonly window?: number | null
  readonly slides?: (layer: number) => boolean
}

// --- Families --------------------------------------------------------------------------------------------------

function llama(fields: ConfigFields): Parts {
  const bias = fields.flag('attention_bias', false)
  const attention = grouped(fields, { qkvBias: bias, outBias: bias })
  return decoder(fields, layersOf(fields, { attention, mlp: dense(fields, { bias: fields.flag('mlp_bias', false) }) }))
}

function mistral(fields: ConfigFields): Parts {
  const window = fields.optionalCount('sliding_window')
  return decoder(fields, layersOf(fields, { attention: grouped(fields), mlp: dense(fields), window }))
}

function mixtral(fields: ConfigFields): Parts {
  const window = fields.optionalCount('sliding_window')
  return decoder(fields, layersOf(fields, { attention: grouped(fields), mlp: experts(fields), window }))
}

/** Qwen 2, 2.5 and 3, dense and with experts: windows only from `max_window_layers` on, and only when switched on. */
function qwen(own: Partial<GroupedAttention>, moe: boolean): (fields: ConfigFields) => Parts {
  return (fields) => {
    const bias = fields.flag('attention_bias', false)
    const attention = grouped(fields, { qkvBias: bias, outBias: bias, ...own })
    const from = fields.optionalCount('max_window_layers') ?? 0
    const window = fields.flag('use_sliding_window', false) ? fields.optionalCount('sliding_window') : null
    const mlp = moe ? sparse(fields) : dense(fields)
    return decoder(fields, layersOf(fields, { attention, mlp, window, slides: (layer) => layer >= from }))
  }
}

/** Experts on every `decoder_sparse_step`-th layer, dense where `mlp_only_layers` says so. */
function sparse(fields: ConfigFields): (layer: number) => Mlp {
  const every = fields.optionalCount('decoder_sparse_step') ?? 1
  const plain = new Set(fields.list('mlp_only_layers') ?? [])
  const sharedFfn = fields.optionalCount('shared_expert_intermediate_size') ?? 0
  const moe = experts(fields, {
    ffn: fields.count('moe_intermediate_size'),
    sharedFfn,
    sharedGate: sharedFfn > 0,
  })
  return (layer) => (plain.has(layer) || (layer + 1) % every !== 0 ? dense(fields) : moe)
}

function deepseek(fields: ConfigFields): Parts {
  const attention = {
    kind: 'latent',
    heads: fields.count('num_attention_heads'),
    qLoraRank: fields.optionalCount('q_lora_rank'),
    kvLoraRank: fields.count('kv_lora_rank'),
    qkNopeHeadDim: fields.count('qk_nope_head_dim'),
    qkRopeHeadDim: fields.count('qk_rope_head_dim'),
    vHeadDim: fields.count('v_head_dim'),
    bias: fields.flag('attention_bias', false),
  } as const
  const mlp = firstDense(fields)
  const layers = Array.from({ length: layerCount(fields) }, (_, layer) => ({ attention, mlp: mlp(layer), norms: 2 }))
  return decoder(fields, layers)
}

/** Dense layers first, experts with shared ones after (DeepSeek, GLM 4.5). */
function firstDense(fields: ConfigFields): (layer: number) => Mlp {
  const from = fields.optionalCount('first_k_dense_replace') ?? 0
  const every = fields.optionalCount('moe_layer_freq') ?? 1
  const ffn = fields.count('moe_intermediate_size')
  const shared = fields.optionalCount('n_shared_experts') ?? 0
  const moe = experts(fields, { experts: fields.count('n_routed_experts'), ffn, sharedFfn: shared * ffn })
  return (layer) => (layer >= from && layer % every === 0 ? moe : dense(fields))
}

function glm4Moe(fields: ConfigFields): Parts {
  const qkvBias = fields.flag('attention_bias', false)
  const qkNorm = fields.flag('use_qk_norm', false) ? 'head' : 'none'
  return decoder(fields, layersOf(fields, { attention: grouped(fields, { qkvBias, qkNorm }), mlp: firstDense(fields) }))
}

function gptNeox(fields: ConfigFields): Parts {
  const bias = fields.flag('attention_bias', true)
  return decoder(
    fields,
    layersOf(fields, {
      attention: grouped(fields, { kvHeads: fields.count('num_attention_heads'), qkvBias: bias, outBias: bias }),
      mlp: dense(fields, { act: 'gelu', gated: false, bias: true }),
    }),
    {
      norm: 'layernorm',
      normBias: true,
      parallelBlocks: fields.flag('use_parallel_residual', true),
      dropout: fields.number('hidden_dropout', 0),
    },
  )
}

function gptOss(fields: ConfigFields): Parts {
  const bias = fields.flag('attention_bias', true)
  const mlp = experts(fields, { ffn: fields.count('intermediate_size'), bias: true, routerBias: true })
  return decoder(
    fields,
    layersOf(fields, {
      attention: grouped(fields, { qkvBias: bias, outBias: bias, sinks: true }),
      mlp,
      window: fields.count('sliding_window', 128),
      slides: (layer) => layer % 2 === 0,
    }),
  )
}

function gemma(fields: ConfigFields): Parts {
  const attention = grouped(fields)
  return decoder(fields, layersOf(fields, { attention, mlp: dense(fields, { act: 'gelu' }) }), { tiedEmbeddings: true })
}

function gemma2(fields: ConfigFields): Parts {
  const layers = layersOf(fields, {
    attention: grouped(fields),
    mlp: dense(fields, { act: 'gelu' }),
    norms: 4,
    window: fields.optionalCount('sliding_window'),
    slides: (layer) => layer % 2 === 0,
  })
  return decoder(fields, layers, { tiedEmbeddings: true })
}

/** Published files of the larger models leave out what equals the class defaults: 8 heads, 4 of keys, 256 wide. */
function gemma3(fields: ConfigFields): Parts {
  const pattern = fields.count(['sliding_window_pattern', '_sliding_window_pattern'], 6)
  const layers = layersOf(fields, {
    attention: grouped(fields, {
      heads: fields.count('num_attention_heads', 8),
      kvHeads: fields.count('num_key_value_heads', 4),
      headDim: fields.count('head_dim', 256),
      qkNorm: 'head',
    }),
    mlp: dense(fields, { act: 'gelu' }),
    norms: 4,
    window: fields.count('sliding_window', 4096),
    slides: (layer) => (layer + 1) % pattern !== 0,
  })
  return decoder(fields, layers, { tiedEmbeddings: true, vocab: fields.count('vocab_size', 262_208) })
}

/** Phi 1, 1.5 and 2: one normalisation a layer, biases everywhere. */
function phi(fields: ConfigFields): Parts {
  const layers = layersOf(fields, {
    attention: grouped(fields, {
      qkvBias: true,
      outBias: true,
      qkNorm: fields.flag('qk_layernorm', false) ? 'head' : 'none',
    }),
    mlp: dense(fields, { act: 'gelu', gated: false, bias: true }),
    norms: 1,
  })
  const dropout = fields.number('resid_pdrop', 0)
  return decoder(fields, layers, { norm: 'layernorm', normBias: true, headBias: true, parallelBlocks: true, dropout })
}

function phi3(fields: ConfigFields): Parts {
  const window = fields.optionalCount('sliding_window')
  return decoder(fields, layersOf(fields, { attention: grouped(fields), mlp: dense(fields), window }), {
    dropout: fields.number('resid_pdrop', 0),
  })
}

function olmo2(fields: ConfigFields): Parts {
  const bias = fields.flag('attention_bias', false)
  const attention = grouped(fields, { qkvBias: bias, outBias: bias, qkNorm: 'whole' })
  return decoder(fields, layersOf(fields, { attention, mlp: dense(fields) }))
}

function gpt2(fields: ConfigFields): Parts {
  const hidden = fields.count('n_embd')
  const attention = grouped(fields, { heads: fields.count('n_head'), qkvBias: true, outBias: true })
  const ffn = fields.optionalCount('n_inner') ?? 4 * hidden
  const mlp = dense(fields, { act: 'gelu', gated: false, bias: true, ffn })
  return decoder(fields, layersOf(fields, { attention, mlp }), {
    tiedEmbeddings: true,
    norm: 'layernorm',
    normBias: true,
    positions: 'learned',
    positionRows: fields.count('n_positions'),
    dropout: fields.number('resid_pdrop', 0.1),
  })
}

function mpt(fields: ConfigFields): Parts {
  const bias = !fields.flag('no_bias', true)
  const attention = grouped(fields, { heads: fields.count('n_heads'), qkvBias: bias, outBias: bias })
  const ffn = fields.count('expansion_ratio', 4) * fields.count('d_model')
  const mlp = dense(fields, { act: 'gelu', gated: false, bias, ffn })
  return decoder(fields, layersOf(fields, { attention, mlp }), {
    tiedEmbeddings: true,
    norm: 'layernorm',
    normBias: bias,
    positions: 'alibi',
    dropout: fields.number('resid_pdrop', 0),
  })
}

/** With the head of masked language modelling: `BertForMaskedLM`, what BERT is trained as. */
function bert(fields: ConfigFields): Parts {
  const layers = layersOf(fields, {
    attention: grouped(fields, { kvHeads: fields.count('num_attention_heads'), qkvBias: true, outBias: true }),
    mlp: dense(fields, { act: 'gelu', gated: false, bias: true }),
  })
  return decoder(fields, layers, {
    tiedEmbeddings: true,
    headBias: true,
    norm: 'layernorm',
    normBias: true,
    finalNorm: false,
    positions: 'learned',
    positionRows: fields.count('max_position_embeddings'),
    causal: false,
    encoder: { segmentRows: fields.count('type_vocab_size', 2) },
    dropout: fields.number('hidden_dropout_prob', 0.1),
  })
}

/** By `model_type`. */
export const FAMILIES: Readonly<Record<string, (fields: ConfigFields) => Parts>> = {
  llama,
  mistral,
  mixtral,
  qwen2: qwen({ qkvBias: true, outBias: false }, false),
  qwen3: qwen({ qkNorm: 'head' }, false),
  qwen2_moe: qwen({ qkvBias: true, outBias: false }, true),
  qwen3_moe: qwen({ qkNorm: 'head' }, true),
  deepseek_v2: deepseek,
  deepseek_v3: deepseek,
  kimi_k2: deepseek,
  glm4_moe: glm4Moe,
  gpt_neox: gptNeox,
  gpt_oss: gptOss,
  gemma,
  gemma2,
  gemma3_text: gemma3,
  phi,
  phi3,
  olmo2,
  gpt2,
  mpt,
  bert,
}
