"""The life of buffers that a device copies from, with events that the test sets off."""

from __future__ import annotations

import gc
import importlib.util
from typing import Any

import numpy as np
import pytest
from gristmill import Batch, GristmillError, Loader
from gristmill.device import Block, UnderWay
from runs import Run


class Copy:
    """A copy to the host's own memory that is done when the test says so, or when somebody waits for it."""

    def __init__(self, batch: Batch) -> None:
        self.done = False
        self._from: Any = batch["tokens"]
        self.to = np.zeros_like(self._from)

    def query(self) -> bool:
        return self.done

    def synchronize(self) -> None:
        self.to[:] = self._from
        self._from = None  # a device holds no view either
        self.done = True


class Copier:
    """What moves a loader's batches, as `gristmill.device.Mover` does."""

    def __init__(self) -> None:
        self.copies: list[Copy] = []

    def __call__(self, batch: Batch) -> tuple[Batch, Copy]:
        copy = Copy(batch)
        self.copies.append(copy)
        return batch.moved({"tokens": copy.to}), copy


def open_copied(run: Run, **options: Any) -> tuple[Loader, Copier]:
    loader = Loader(run.path, batch_size=4, seed=1, as_numpy=True, fields=("tokens",), **options)
    copier = Copier()
    loader._move = copier  # type: ignore[assignment]
    return loader, copier


def whole(run: Run) -> list[list[list[int]]]:
    with Loader(run.path, batch_size=4, seed=1, as_numpy=True) as loader:
        return [batch["tokens"].tolist() for batch in loader]


def test_a_buffer_waits_for_its_copy(small_run: Run) -> None:
    """All copies are late: each is waited for when its buffer is needed, and copies what was in it."""
    loader, copier = open_copied(small_run, buffers=3, prefetch=1)
    with loader:
        got = [batch["tokens"] for batch in loader]
        assert [copy.done for copy in copier.copies].count(False) <= 3
    assert all(copy.done for copy in copier.copies)
    assert [tokens.tolist() for tokens in got] == whole(small_run)


def test_buffers_go_back_when_their_copies_are_done(small_run: Run) -> None:
    loader, copier = open_copied(small_run, buffers=3, prefetch=0)
    with loader:
        batches = iter(loader)
        for _ in range(3):
            next(batches)
        assert not any(copy.done for copy in copier.copies)
        copier.copies[0].synchronize()
        copier.copies[1].synchronize()
        next(batches)
        next(batches)
        assert [copy.done for copy in copier.copies] == [True, True, False, False, False]
        assert len(loader._under_way) == 3
        state = loader.state_dict()
        assert state["samples"] == 20


def test_a_loader_that_is_dropped_waits_for_its_copies(small_run: Run) -> None:
    loader, copier = open_copied(small_run)
    batch = next(iter(loader))
    tokens = batch["tokens"]
    del loader, batch
    gc.collect()
    assert copier.copies[0].done
    assert tokens.tolist() == whole(small_run)[0]


def test_moved_batches_know_their_counts(small_run: Run) -> None:
    loader, _ = open_copied(small_run)
    with loader:
        batch = next(iter(loader))
        assert (batch.epoch, batch.sequences, list(batch)) == (0, 4, ["tokens"])
        assert batch.token_count > 0
        with pytest.raises(KeyError, match="name what you need"):
            batch["labels"]


def test_events_are_asked_in_their_order(small_run: Run) -> None:
    with Loader(small_run.path, batch_size=4, as_numpy=True) as loader:
        under_way = UnderWay()
        copies = []
        for batch in [next(iter(loader)) for _ in range(3)]:
            copies.append(Copy(batch))
            under_way.keep(copies[-1], batch)
        copies[1].synchronize()
        under_way.sweep()
        assert len(under_way) == 3
        copies[0].synchronize()
        under_way.sweep()
        assert len(under_way) == 1
        assert under_way.wait() and copies[2].done
        assert not under_way.wait()


def test_lent_memory_is_unlocked_after_the_last_view(small_run: Run) -> None:
    """Batches lie in memory that Python maps, and it is unlocked once, when nobody can read it any more."""
    locked: dict[int, int] = {}

    def unregister(address: int) -> None:
        del locked[address]

    expected = whole(small_run)
    with Loader(small_run.path, batch_size=4, seed=1, as_numpy=True, fields=("tokens",), buffers=3) as loader:
        size = loader._native.batch_bytes
        assert size == 4 * 32 * 4
        blocks = [Block(size, locked.__setitem__, unregister) for _ in range(3)]
        loader._native.lend([(block.address, block.size, block) for block in blocks])
        del blocks
        assert len(locked) == 3
        for batch, tokens in zip(loader, expected, strict=True):
            assert batch["tokens"].ctypes.data in locked
            assert batch["tokens"].tolist() == tokens
        kept = batch["tokens"][:2]
        del batch
    del loader
    gc.collect()
    assert list(locked) == [kept.ctypes.data]
    assert kept.tolist() == expected[-1][:2]
    del kept
    gc.collect()
    assert not locked


def test_lent_memory_must_fit(small_run: Run) -> None:
    def no_lock(*_: int) -> None:
        pass

    def refusal(count: int, size: int) -> str:
        blocks = [Block(size, no_lock, no_lock) for _ in range(count)]
        with Loader(small_run.path, batch_size=4, as_numpy=True, buffers=2) as loader:
            with pytest.raises(Exception, match="pin_memory") as caught:
                loader._native.lend([(block.address, block.size, block) for block in blocks])
        return str(caught.value)

    assert "it takes 2 buffers of 1536 bytes" in refusal(1, 4096)
    assert "it takes 2 buffers" in refusal(2, 512)


@pytest.mark.parametrize("options", [{"pin_memory": True}, {"device": "cuda"}])
def test_without_cuda_it_is_refused(small_run: Run, options: dict[str, Any]) -> None:
    torch: Any = importlib.import_module("torch") if importlib.util.find_spec("torch") else None
    if torch is not None and torch.cuda.is_available():
        pytest.skip("there is a CUDA device here; python/tests_torch copies to it")
    with pytest.raises(GristmillError, match="GM_CONFIG") as caught:
        Loader(small_run.path, batch_size=4, **options)
    assert "CUDA" in caught.value.message or "PyTorch" in caught.value.message


def test_numpy_arrays_do_not_go_to_devices(small_run: Run) -> None:
    with pytest.raises(GristmillError, match="stay in the memory of the host"):
        Loader(small_run.path, batch_size=4, as_numpy=True, device="cuda")
