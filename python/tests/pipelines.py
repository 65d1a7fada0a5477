"""Small pipelines, with a tokenizer by which the tests know every id themselves: a word is its number."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gristmill import Pipeline

WORDS = 500
#: Ends each document.
END = WORDS


@dataclass(frozen=True)
class Text:
    """A pipeline and the ids of the documents that it reads."""

    file: Path
    documents: list[list[int]]

    def pipeline(self, group: int = 3, workers: int = 1, **options: Any) -> Pipeline:
        """In tasks of a file each."""
        return Pipeline(self.file, task_bytes=1, group=group, workers=workers, **options)


def write_tokenizer(folder: Path) -> None:
    """A tokenizer whose words are `w0`, `w1`, …."""
    vocabulary = {f"w{number}": number for number in range(WORDS)} | {"<end>": END, "<unknown>": END + 1}
    special = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": END, "content": "<end>", **special}],
        "normalizer": None,
        "pre_tokenizer": {"type": "WhitespaceSplit"},
        "post_processor": None,
        "decoder": None,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "<unknown>"},
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))


def write_text(
    folder: Path, files: int = 7, each: int = 30, longest: int = 40, steps: Sequence[str] = (), seed: int = 0
) -> Text:
    """JSON Lines and a pipeline over them that packs to 32."""
    random = np.random.default_rng(seed)
    (folder / "data").mkdir(parents=True)
    write_tokenizer(folder)
    documents = []
    for file in range(files):
        with (folder / f"data/{file:03}.jsonl").open("w") as out:
            for number in range(each):
                ids = random.integers(0, WORDS, random.integers(1, longest)).tolist()
                documents.append([*ids, END])
                text = " ".join(f"w{id}" for id in ids)
                out.write(json.dumps({"id": f"{file}-{number}", "text": text}) + "\n")
    lines = ["source:", '  paths: ["data/*.jsonl"]', "steps:", *(f"  - {step}" for step in steps)]
    lines += ['  - tokenize: { tokenizer: ./tokenizer.json, append: "<end>" }', "  - pack: { length: 32 }", "sink: megatron"]
    (folder / "corpus.yaml").write_text("\n".join(lines) + "\n")
    return Text(folder / "corpus.yaml", documents)
