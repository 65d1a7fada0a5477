"""What a batch must hold, in plain numpy, from the definitions alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from runs import Document

IGNORED = -100


def row(
    documents: list[Document], length: int, *, shift: bool = True, masked: bool = True, reset: bool = True, pad: int = 0
) -> dict[str, npt.NDArray[Any]]:
    """The fields of one sequence, position by position."""
    tokens = [token for document in documents for token in document]
    owner = [number for number, document in enumerate(documents) for _ in document]
    place = [at for document in documents for at in range(len(document))]
    padding = length - len(tokens)
    labels = np.full(length, IGNORED, np.int64)
    for at in range(len(tokens)):
        # The position that predicts `target`, and the target.
        source, target = (at, at + 1) if shift else (at - 1, at)
        if source < 0 or target >= len(tokens):
            continue
        if masked and owner[source] != owner[target]:
            continue
        labels[at] = tokens[target]
    positions = place + list(range(padding)) if reset else list(range(length))
    lengths = [len(document) for document in documents] + ([padding] if padding else [])
    return {
        "tokens": np.array(tokens + [pad] * padding, np.int32),
        "labels": labels,
        "position_ids": np.array(positions, np.int64),
        "loss_mask": labels != IGNORED,
        "attention_mask": np.arange(length) < len(tokens),
        "lengths": np.array(lengths, np.int64),
    }


def batch(rows: list[list[Document]], length: int, **options: Any) -> dict[str, npt.NDArray[Any]]:
    """The fields of several sequences."""
    made = [row(documents, length, **options) for documents in rows]
    fields = {name: np.stack([one[name] for one in made]) for name in made[0] if name != "lengths"}
    ends = np.cumsum(np.concatenate([[0], *(one["lengths"] for one in made)]))
    return {**fields, "cu_seqlens": ends.astype(np.int32)}
