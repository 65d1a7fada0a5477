"""Batch sizes from a memory budget."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import numpy as np
import pytest
from gristmill import AutoBatch, Batch, GristmillError, Loader
from hypothesis import given
from hypothesis import strategies as st
from runs import Run

#: int32 tokens and int64 labels of 32 positions.
ROW_BYTES = 32 * (4 + 8)


def open_auto(run: Run, auto: AutoBatch, **options: Any) -> Loader:
    return Loader(run.path, batch_size=auto, as_numpy=True, seed=3, **options)


def measured(batch: Batch) -> int:
    """The peak of a step that makes a matrix of scores for each sample."""
    tracemalloc.start()
    tokens = batch["tokens"].astype(np.float32)
    scores = tokens[:, :, None] * tokens[:, None, :]
    assert scores.shape[0] == len(tokens)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@given(rows=st.integers(1, 200), sample_bytes=st.integers(0, 10_000), spare=st.floats(0, 0.999))
def test_a_stated_cost_is_divided(small_run: Run, rows: int, sample_bytes: int, spare: float) -> None:
    row = ROW_BYTES + sample_bytes
    with open_auto(small_run, AutoBatch(rows * row + int(spare * row), sample_bytes=sample_bytes)) as loader:
        assert loader.batch_size == rows
        assert next(iter(loader))["tokens"].shape == (rows, 32)


@pytest.mark.parametrize("budget", [20_000, 200_000, 999_999])
def test_a_step_is_measured(small_run: Run, budget: int) -> None:
    with open_auto(small_run, AutoBatch(budget, step=measured)) as loader:
        size = loader.batch_size
        batch = next(iter(loader))
        assert size is not None and batch["tokens"].shape == (size, 32)
        taken = measured(batch) + size * ROW_BYTES
    assert 0.7 * budget < taken <= 1.02 * budget


def test_running_out_of_memory_is_a_size_too_large(small_run: Run) -> None:
    sizes = []

    def step(batch: Batch) -> int:
        sizes.append(len(batch["tokens"]))
        if len(batch["tokens"]) > 21:
            raise MemoryError
        return 0

    with open_auto(small_run, AutoBatch(10**9, step=step)) as loader:
        assert loader.batch_size == 21
    assert sizes[:6] == [1, 2, 4, 8, 16, 32]
    with open_auto(small_run, AutoBatch(10**9, step=lambda _: 0, largest=100)) as loader:
        assert loader.batch_size == 100


def test_buckets_are_tried_at_their_longest(small_run: Run) -> None:
    lengths = set()

    def step(batch: Batch) -> int:
        lengths.add(batch["tokens"].shape[1])
        return int(batch["tokens"].size)

    with open_auto(small_run, AutoBatch(32 * 13 * 10, step=step), buckets=(8, 32)) as loader:
        assert loader.batch_size == 10
    assert lengths == {32}


def test_a_resume_keeps_the_global_batch(small_run: Run) -> None:
    def open_rank(rows: int, rank: int = 0, world: int = 1) -> Loader:
        auto = AutoBatch(rows * ROW_BYTES, sample_bytes=0)
        return open_auto(small_run, auto, rank=rank, world_size=world)

    with open_rank(12) as loader:
        batches = iter(loader)
        next(batches)
        state = loader.state_dict()
        expected = [batch["sample_ids"].tolist() for batch in batches]
    text = json.dumps(state)
    assert len(text) < 500 and state["global_batch"] == 12
    halves = []
    for rank in range(2):
        with open_rank(50, rank, 2) as loader:  # more memory than before
            loader.load_state_dict(text)
            assert loader.batch_size == 6
            assert loader.state_dict() == state
            halves.append([batch["sample_ids"].tolist() for batch in loader])
    assert [a + b for a, b in zip(*halves, strict=True)] == expected
    with open_rank(50) as loader:
        with pytest.raises(GristmillError, match="seed was"):
            loader.load_state_dict({**state, "feed": {**state["feed"], "seed": 4}})
        assert loader.batch_size == 50  # a state that is refused changes nothing
    with open_rank(9, 0, 5) as loader, pytest.raises(GristmillError, match="cannot be cut for 5 ranks"):
        loader.load_state_dict(state)
    # A loader with a size of its own takes the place alone.
    with Loader(small_run.path, batch_size=4, as_numpy=True, seed=3) as loader:
        loader.load_state_dict(state)
        assert loader.batch_size is None
        assert next(iter(loader))["tokens"].shape == (4, 32)


@pytest.mark.parametrize(
    ("auto", "options", "message"),
    [
        (AutoBatch(10**6), {}, "`step` or `sample_bytes`"),
        (AutoBatch(10**6, sample_bytes=1, step=measured), {}, "`step` or `sample_bytes`"),
        (AutoBatch(100, sample_bytes=1), {}, "not even one sample"),
        (AutoBatch(10**6, sample_bytes=-1), {}, "no number of bytes"),
        (AutoBatch(10**6, sample_bytes=1, share=0.0), {}, "share 0.0"),
        (AutoBatch(10**6, step=lambda _: None), {}, "must return the bytes"),
        (AutoBatch(10**6, step=measured), {"rank": 0, "world_size": 2}, "init_process_group"),
    ],
)
def test_what_does_not_fit_is_refused(small_run: Run, auto: AutoBatch, options: Any, message: str) -> None:
    with pytest.raises(GristmillError, match="GM_CONFIG") as caught:
        open_auto(small_run, auto, **options)
    assert message in caught.value.message


def test_without_cuda_the_budget_must_be_stated(small_run: Run) -> None:
    try:
        import torch

        there = torch.cuda.is_available()
    except ImportError:
        there = False
    if there:
        with open_auto(small_run, AutoBatch(sample_bytes=10**9)) as loader:
            assert loader.batch_size is not None
    else:
        with pytest.raises(GristmillError, match="no CUDA device to ask"):
            open_auto(small_run, AutoBatch(sample_bytes=10**9))
