"""Who holds a batch's memory, and what happens when everybody does."""

from __future__ import annotations

import gc
import json
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from gristmill import Batch, GristmillError, Loader
from runs import Run


def test_five_batches_keep_their_bytes(small_run: Run) -> None:
    with Loader(small_run.path, batch_size=4, seed=2, as_numpy=True) as loader:
        held: list[Batch] = []
        copies: list[dict[str, Any]] = []
        for batch in loader:
            copies.append({name: np.array(array) for name, array in batch.items()})
            if len(held) < 5:
                held.append(batch)
        assert len(copies) > 15
        for batch, copy in zip(held, copies, strict=False):
            for name, array in batch.items():
                np.testing.assert_array_equal(array, copy[name])


def test_an_array_outlives_batch_and_loader(small_run: Run) -> None:
    with Loader(small_run.path, batch_size=4, seed=2, as_numpy=True) as loader:
        tokens = next(iter(loader))["tokens"][1:, ::2]
        copy = tokens.copy()
        for batch in loader:
            del batch
    del loader
    gc.collect()
    np.testing.assert_array_equal(tokens, copy)


def test_when_all_buffers_are_held_the_error_names_the_option(small_run: Run) -> None:
    with Loader(small_run.path, batch_size=1, buffers=3, as_numpy=True) as loader:
        batches = iter(loader)
        held = [next(batches) for _ in range(3)]
        with pytest.raises(GristmillError, match="open the loader with more `buffers`") as caught:
            next(batches)
        assert caught.value.code == "GM_FEED_BUFFERS"
        expected = loader.state_dict()["samples"]
        view = held[0]["tokens"][:, :1]
        del held
        del view
        batch = next(batches)
        assert loader.state_dict()["samples"] == expected + 1
        assert batch.sequences == 1


def test_batches_in_cycles_are_collected_before_buffers_run_out(small_run: Run) -> None:
    gc.disable()
    try:
        with Loader(small_run.path, batch_size=1, buffers=2, as_numpy=True) as loader:
            for batch in loader:
                cycle = [batch]
                cycle.append(cycle)  # type: ignore[arg-type]
                del cycle, batch
    finally:
        gc.enable()


def test_the_same_rank_opens_again(small_run: Run) -> None:
    loaders = [Loader(small_run.path, batch_size=4, seed=1, rank=1, world_size=2, as_numpy=True) for _ in range(8)]
    epochs = [[batch["sample_ids"].tolist() for batch in loader] for loader in loaders]
    assert all(epoch == epochs[0] for epoch in epochs)
    for loader in loaders:
        loader.close()
    with Loader(small_run.path, batch_size=4, seed=1, rank=1, world_size=2, as_numpy=True) as again:
        assert [batch["sample_ids"].tolist() for batch in again] == epochs[0]


def test_eight_ranks_at_once_in_one_process(small_run: Run) -> None:
    def read(rank: int) -> list[list[int]]:
        with Loader(small_run.path, batch_size=3, seed=5, rank=rank, world_size=8, as_numpy=True) as loader:
            return [batch["sample_ids"].tolist() for _ in range(3) for batch in loader]

    with ThreadPoolExecutor(8) as pool:
        ranks = list(pool.map(read, range(8)))
    assert_three_epochs(small_run, ranks)


RANK = """
import json, sys
from gristmill import Loader
with Loader(sys.argv[1], batch_size=3, seed=5, as_numpy=True) as loader:
    json.dump([batch["sample_ids"].tolist() for _ in range(3) for batch in loader], sys.stdout)
"""


def test_eight_ranks_at_once_in_processes_of_their_own(small_run: Run) -> None:
    command = [sys.executable, "-c", RANK, os.fspath(small_run.path)]
    environments = [{**os.environ, "RANK": str(rank), "WORLD_SIZE": "8"} for rank in range(8)]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for environment in environments]
    ranks = [json.loads(child.communicate()[0]) for child in children]
    assert [child.returncode for child in children] == [0] * 8
    assert_three_epochs(small_run, ranks)


def assert_three_epochs(run: Run, ranks: list[list[list[int]]]) -> None:
    """As many batches on every rank, and each sample in three of them."""
    assert len({len(rank) for rank in ranks}) == 1
    seen = sorted(sample for rank in ranks for batch in rank for sample in batch if sample >= 0)
    assert seen == sorted([*range(len(run.sequences))] * 3)


def test_a_trainer_that_leaves_in_the_middle_leaves_no_thread(small_run: Run) -> None:
    def threads() -> int:
        return len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else threading.active_count()

    before = threads()
    for closes in (True, False):
        loader = Loader(small_run.path, batch_size=4, threads=3, as_numpy=True)
        batch = next(iter(loader))
        assert threads() >= before
        if closes:
            loader.close()
        del loader
        assert batch["tokens"].shape == (4, 32)
        assert threads() <= before


def test_a_closed_loader_says_so(small_run: Run) -> None:
    loader = Loader(small_run.path, batch_size=4, as_numpy=True)
    loader.close()
    loader.close()
    with pytest.raises(GristmillError, match="GM_DISPOSED"):
        next(iter(loader))


def test_threads_take_batches_from_one_loader(small_run: Run) -> None:
    with Loader(small_run.path, batch_size=1, as_numpy=True, buffers=16) as loader:
        seen: list[int] = []
        lock = threading.Lock()

        def take() -> None:
            for batch in loader:
                with lock:
                    seen.extend(batch["sample_ids"].tolist())

        workers = [threading.Thread(target=take) for _ in range(4)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert set(range(len(small_run.sequences))) <= set(seen)


def test_a_loader_does_not_travel(small_run: Run) -> None:
    with Loader(small_run.path, batch_size=4, as_numpy=True) as loader, pytest.raises(TypeError, match="num_workers=0"):
        pickle.dumps(loader)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_is_told_to_use_no_workers(small_run: Run) -> None:
    with Loader(small_run.path, batch_size=4, as_numpy=True) as loader:
        next(iter(loader))
        child = os.fork()
        if child == 0:
            try:
                next(iter(loader))
            except GristmillError as error:
                os._exit(0 if "num_workers=0" in error.message else 1)
            os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
