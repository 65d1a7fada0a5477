"""What a loader measures of itself."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from gristmill import Loader
from runs import Run


def test_sums_are_those_of_the_batches(small_run: Run) -> None:
    with Loader(small_run.path, batch_size=4, as_numpy=True, fields=("tokens", "attention_mask")) as loader:
        before = loader.stats()
        assert (before["batches"], before["bottleneck"], before["padding_share"]) == (0, None, 0)
        batches = sequences = tokens = positions = 0
        for batch in loader:
            batches += 1
            sequences += batch.sequences
            tokens += int(batch["attention_mask"].sum())
            positions += batch["tokens"].size
        stats = loader.stats()
        assert (stats["batches"], stats["sequences"], stats["tokens"]) == (batches, sequences, tokens)
        assert stats["padding_share"] == pytest.approx(1 - tokens / positions)
        assert stats["tokens_per_second"] == pytest.approx(tokens / stats["seconds"])
        assert stats["truncated_tokens"] == 0


def test_a_loop_that_does_nothing_waits_for_the_input(small_run: Run) -> None:
    with Loader(small_run.path, batch_size=64, as_numpy=True, prefetch=0) as loader:
        for batch in loader:
            del batch
        stats = loader.stats()
        assert stats["bottleneck"] == "input"
        assert 0 < stats["stall_seconds"] <= stats["seconds"]


def test_a_line_is_written_when_asked_for(small_run: Run, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "gristmill")
    with Loader(small_run.path, batch_size=16, as_numpy=True, rank=1, world_size=2, log_every=0) as loader:
        for batch in loader:
            np.asarray(batch["tokens"])
        assert len(caplog.messages) == len(loader)
        assert caplog.messages[-1].startswith(f"rank 1: {len(loader)} batches, ")
        assert " is the bottleneck" in caplog.messages[-1]
    with Loader(small_run.path, batch_size=16, as_numpy=True, log_every=3600) as loader:
        caplog.clear()
        next(iter(loader))
        assert caplog.messages == []
