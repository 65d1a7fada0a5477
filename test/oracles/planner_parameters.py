"""Parameter counts of models, from `transformers` on the meta device: no weights, no memory.

Reads the built-in models on stdin, writes src/planner/golden/parameters.json to stdout:

    python test/oracles/planner_parameters.py < src/planner/data/models.json > src/planner/golden/parameters.json

Needs torch, transformers and peft, which the repository does not install: they are large, and the counts are facts.
"""

from __future__ import annotations

import json
import sys

import peft
import torch
import transformers

LORA = {"model": "qwen3-0.6b", "rank": 8}


def build(config: dict) -> torch.nn.Module:
    """The model as it is trained, on the meta device."""
    values = {key: value for key, value in config.items() if key != "model_type"}
    if config["model_type"] == "mpt":
        values["no_bias"] = config["no_bias"]
    hf_config = transformers.AutoConfig.for_model(config["model_type"], **values)
    hf_config.tie_word_embeddings = config.get("tie_word_embeddings", config["model_type"] in ("gpt2", "mpt"))
    auto = transformers.AutoModelForMaskedLM if config["model_type"] == "bert" else transformers.AutoModelForCausalLM
    with torch.device("meta"):
        model = auto.from_config(hf_config)
    model.tie_weights()
    return model


def total(model: torch.nn.Module) -> int:
    """Parameters, shared ones once."""
    return sum(parameter.numel() for parameter in {id(p): p for p in model.parameters()}.values())


def lora(config: dict) -> int:
    """Trainable parameters with adapters on every linear layer of the blocks."""
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    with torch.device("meta"):
        model = peft.get_peft_model(build(config), peft.LoraConfig(r=LORA["rank"], target_modules=targets))
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def main() -> None:
    configs = json.load(sys.stdin)["configs"]
    counts = {name: total(build(config)) for name, config in configs.items()}
    versions = {module.__name__: module.__version__ for module in (torch, transformers, peft)}
    golden = {
        "source": "test/oracles/planner_parameters.py",
        "versions": versions,
        "counts": counts,
        "lora": {**LORA, "trainable": lora(configs[LORA["model"]])},
    }
    json.dump(golden, sys.stdout, indent=2)
    print()


if __name__ == "__main__":
    main()
