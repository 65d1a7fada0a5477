"""Bytes that autograd keeps of transformer layers on the CPU, and operations by torch's own counter.

Writes src/planner/golden/activations.json to stdout:

    python test/oracles/planner_activations.py > src/planner/golden/activations.json

Every storage handed to `saved_tensors_hooks` counts once; parameters and the tables of rotary positions, which all
layers share, do not count. The layers are Hugging Face's where they run on a CPU as they do on a GPU, and plain torch
where only a fused GPU kernel exists. Operations are those of `FlopCounterMode`, rotary positions left out.

Needs torch and transformers, which the repository does not install: they are large, and the results are facts.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

import torch
import torch.nn.functional as F
import transformers
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

BATCH, SEQ, VOCAB = 2, 64, 320


class FusedRmsNorm(torch.autograd.Function):
    """What the fused kernels (Apex, Transformer Engine, Liger) keep: the input and its reciprocal deviation."""

    @staticmethod
    def forward(ctx, x, weight):
        scale = torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + 1e-6)
        ctx.save_for_backward(x, weight, scale)
        return (x.float() * scale).to(x.dtype) * weight

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


class FusedGlu(torch.autograd.Function):
    """What Megatron's `bias_swiglu` keeps: its input."""

    @staticmethod
    def forward(ctx, gate, up):
        ctx.save_for_backward(gate, up)
        return F.silu(gate) * up

    @staticmethod
    def backward(ctx, gradient):
        return gradient, gradient


@dataclass(frozen=True)
class Shape:
    """A layer: `gated` ones are like Llama's, others like GPT-3's."""

    hidden: int
    heads: int
    kv_heads: int
    ffn: int
    gated: bool


class Layer(torch.nn.Module):
    def __init__(self, shape: Shape, attention: str, fused_glu: bool, repeated_kv: bool, selective: bool) -> None:
        super().__init__()
        self.shape, self.attention, self.selective = shape, attention, selective
        self.fused_glu, self.repeated_kv = fused_glu, repeated_kv
        self.head_dim = shape.hidden // shape.heads
        bias = not shape.gated
        linear = lambda inputs, outputs: torch.nn.Linear(inputs, outputs, bias=bias)
        kv = shape.kv_heads * self.head_dim
        self.q, self.k, self.v = linear(shape.hidden, shape.hidden), linear(shape.hidden, kv), linear(shape.hidden, kv)
        self.o, self.up, self.down = (
            linear(shape.hidden, shape.hidden),
            linear(shape.hidden, shape.ffn),
            linear(shape.ffn, shape.hidden),
        )
        self.gate = linear(shape.hidden, shape.ffn) if shape.gated else None
        self.norms = torch.nn.ModuleList([torch.nn.LayerNorm(shape.hidden) for _ in range(2)])

    def norm(self, index: int, x: torch.Tensor) -> torch.Tensor:
        if self.shape.gated:
            return FusedRmsNorm.apply(x, self.norms[index].weight)
        return self.norms[index](x)

    def core(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        if self.attention == "flash":
            gqa = q.shape[1] != k.shape[1]
            return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=gqa)
        # As Megatron's unfused attention: scaling inside the product, masked softmax in place of separate steps.
        batch, heads, seq, _ = q.shape
        q, k, v = (x.reshape(batch * heads, seq, -1) for x in (q, k, v))
        bias = torch.zeros(1, 1, 1, dtype=q.dtype)
        scores = torch.baddbmm(bias, q, k.transpose(1, 2), beta=0.0, alpha=self.head_dim**-0.5)
        mask = torch.ones(seq, seq, dtype=torch.bool).triu(1)
        scores = MaskedSoftmax.apply(scores, mask)
        return torch.bmm(scores, v).view(batch, heads, seq, -1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, seq, _ = x.shape
        y = self.norm(0, x)
        split = lambda z: z.view(batch, seq, -1, self.head_dim).transpose(1, 2)
        q, k, v = split(self.q(y)), split(self.k(y)), split(self.v(y))
        if self.repeated_kv:
            repeats = self.shape.heads // self.shape.kv_heads
            k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)
        core = checkpoint(self.core, q, k, v, use_reentrant=False) if self.selective else self.core(q, k, v)
        x = x + self.o(core.transpose(1, 2).reshape(batch, seq, -1))
        y = self.norm(1, x)
        if self.gate is None:
            return x + self.down(F.gelu(self.up(y)))
        gate, up = self.gate(y), self.up(y)
        return x + self.down(FusedGlu.apply(gate, up) if self.fused_glu else F.silu(gate) * up)


class MaskedSoftmax(torch.autograd.Function):
    """What Megatron's fused masked softmax keeps: its result."""

    @staticmethod
    def forward(ctx, scores, mask):
        result = torch.softmax(scores.float().masked_fill(mask, float("-inf")), -1).to(scores.dtype)
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


class Kept:
    """Bytes of the storages that autograd keeps, apart from those listed."""

    def __init__(self, apart: list[torch.Tensor]) -> None:
        self.apart = {tensor.untyped_storage().data_ptr() for tensor in apart}
        self.tensors: dict[int, torch.Tensor] = {}

    def pack(self, tensor: torch.Tensor) -> torch.Tensor:
        pointer = tensor.untyped_storage().data_ptr()
        if pointer not in self.apart:
            self.tensors[pointer] = tensor  # held, so that no storage is used twice
        return tensor

    def bytes(self) -> int:
        return sum(tensor.untyped_storage().nbytes() for tensor in self.tensors.values())


def own_layers(shape: Shape, attention: str, mode: str, dtype: torch.dtype, **style: bool) -> int:
    layer = Layer(shape, attention, style.get("fusedGlu", True), style.get("repeatedKv", False), mode == "selective")
    layer = layer.to(dtype)
    kept = Kept(list(layer.parameters()))  # a checkpoint hands its inputs to the hooks, too
    x = torch.randn(BATCH, SEQ, shape.hidden, dtype=dtype, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda tensor: tensor):
        y = checkpoint(layer, x, use_reentrant=False) if mode == "full" else layer(x)
    assert y.requires_grad
    return kept.bytes()


def hugging_face(config: dict, dtype: torch.dtype) -> dict:
    """Kept bytes of the decoder layers of a Hugging Face model, and its operations forward and backward."""
    values = {key: value for key, value in config.items() if key != "model_type"}
    hf = transformers.AutoConfig.for_model(config["model_type"], **values)
    hf._attn_implementation = "sdpa"
    model = transformers.AutoModelForCausalLM.from_config(hf, dtype=dtype)
    rotary = []
    model.model.rotary_emb.register_forward_hook(lambda _m, _i, output: rotary.extend(output))
    apart = list(model.parameters()) + list(model.buffers())
    kept = Kept(apart)
    hooks: list[torch.autograd.graph.saved_tensors_hooks] = []
    ids = torch.randint(0, VOCAB, (BATCH, SEQ))

    def enter(_module, _inputs, _kwargs=None) -> None:
        kept.apart |= {tensor.untyped_storage().data_ptr() for tensor in rotary}
        hooks.append(torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda tensor: tensor))
        hooks[-1].__enter__()

    def leave(_module, _inputs, _output) -> None:
        hooks.pop().__exit__(None, None, None)

    for layer in model.model.layers:
        layer.register_forward_pre_hook(enter)
        layer.register_forward_hook(leave)
    model(input_ids=ids, attention_mask=None, use_cache=False)
    return {"bytes": kept.bytes()}


def operations(config: dict) -> dict:
    """Operations of a Hugging Face model by torch's counter, with attention as separate products."""
    values = {key: value for key, value in config.items() if key != "model_type"}
    hf = transformers.AutoConfig.for_model(config["model_type"], **values)
    hf._attn_implementation = "eager"
    hf._experts_implementation = "eager"
    auto = transformers.AutoModelForMaskedLM if config["model_type"] == "bert" else transformers.AutoModelForCausalLM
    model = auto.from_config(hf, dtype=torch.float32)
    ids = torch.randint(0, VOCAB, (BATCH, SEQ))
    forward, both = FlopCounterMode(display=False, depth=None), FlopCounterMode(display=False, depth=None)
    with forward:
        logits = model(input_ids=ids).logits
    with both:
        model(input_ids=ids).logits.sum().backward()
    assert logits.shape == (BATCH, SEQ, VOCAB)
    rotary = sum(
        sum(counts.values()) for name, counts in forward.get_flop_counts().items() if name.endswith("rotary_emb")
    )
    return {"forward": forward.get_total_flops() - rotary, "both": both.get_total_flops() - rotary}


LLAMA = {
    "model_type": "llama",
    "num_hidden_layers": 3,
    "hidden_size": 128,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "intermediate_size": 352,
    "vocab_size": VOCAB,
    "tie_word_embeddings": False,
}
COUNTED = {
    "llama": LLAMA,
    "qwen3": {**LLAMA, "model_type": "qwen3", "head_dim": 32},
    "gpt2": {"model_type": "gpt2", "n_layer": 2, "n_embd": 128, "n_head": 4, "n_positions": 64, "vocab_size": VOCAB},
    "gpt_neox": {**LLAMA, "model_type": "gpt_neox", "num_key_value_heads": 8},
    "bert": {**LLAMA, "model_type": "bert", "max_position_embeddings": 64, "type_vocab_size": 2, "tie_word_embeddings": True},
    "qwen3_moe": {
        **LLAMA,
        "model_type": "qwen3_moe",
        "head_dim": 32,
        "num_experts": 8,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 96,
    },
    "deepseek_v3": {
        **LLAMA,
        "model_type": "deepseek_v3",
        "num_key_value_heads": 8,
        "q_lora_rank": 48,
        "kv_lora_rank": 32,
        "qk_nope_head_dim": 16,
        "qk_rope_head_dim": 8,
        "v_head_dim": 16,
        "n_routed_experts": 8,
        "n_shared_experts": 1,
        "num_experts_per_tok": 2,
        "moe_intermediate_size": 96,
        "first_k_dense_replace": 1,
        "n_group": 1,
        "topk_group": 1,
    },
}
SHAPES = {
    "gpt": Shape(hidden=128, heads=4, kv_heads=4, ffn=512, gated=False),
    "llama": Shape(hidden=128, heads=8, kv_heads=2, ffn=352, gated=True),
}


def activation_cases() -> list[dict]:
    cases = []
    for name, shape in SHAPES.items():
        for attention in ("flash", "math") if shape.heads == shape.kv_heads else ("flash",):
            for mode in ("none", "selective", "full"):
                for style in ({"fusedGlu": True}, {"fusedGlu": False}, {"fusedGlu": False, "repeatedKv": True}):
                    if not shape.gated and not style["fusedGlu"]:
                        continue
                    measured = own_layers(shape, attention, mode, torch.float32, **style)
                    case = {"shape": name, **vars(shape), "attention": attention, "mode": mode, "style": style}
                    cases.append({**case, "bytesPerElement": 4, "bytes": measured})
    return cases


def main() -> None:
    torch.manual_seed(0)
    versions = {module.__name__: module.__version__ for module in (torch, transformers)}
    golden = {
        "source": "test/oracles/planner_activations.py",
        "versions": versions,
        "batch": BATCH,
        "seq": SEQ,
        "layers": activation_cases(),
        "huggingFace": [
            {"config": {**LLAMA}, "bytesPerElement": 2, **hugging_face(LLAMA, torch.bfloat16)},
            {"config": {**LLAMA}, "bytesPerElement": 4, **hugging_face(LLAMA, torch.float32)},
        ],
        "operations": [{"config": config, **operations(config)} for config in COUNTED.values()],
    }
    json.dump(golden, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
