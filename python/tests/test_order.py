"""Which samples come when: epochs, ranks, resumes, mixtures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gristmill import BlockShuffle, Component, GristmillError, Loader, Mesh, Mixture, Stage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs import Run, random_documents, write_run

SETTINGS = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def samples(batch: Any) -> list[tuple[int, int]]:
    return list(zip(batch["dataset_ids"].tolist(), batch["sample_ids"].tolist(), strict=True))


def open_rank(run: Any, batch_size: int, rank: int = 0, world: int = 1, **options: Any) -> Loader:
    given_options = {"seed": 7, "fields": ("tokens",), "as_numpy": True, **options}
    return Loader(run, batch_size=batch_size, rank=rank, world_size=world, **given_options)


def global_batches(run: Any, global_size: int, world: int, steps: int, state: Any = None, **options: Any) -> Any:
    """The samples of the next ``steps`` global batches, and the state after them, read by all ranks."""
    ranks = [open_rank(run, global_size // world, rank, world, **options) for rank in range(world)]
    for loader in ranks:
        if state is not None:
            loader.load_state_dict(state)
    batches = []
    for _ in range(steps):
        own = [samples(next(iter(loader))) for loader in ranks]
        batches.append([sample for one in own for sample in one])
    states = [loader.state_dict() for loader in ranks]
    assert all(one == states[0] for one in states)
    for loader in ranks:
        loader.close()
    return batches, states[0]


@SETTINGS
@given(batch_size=st.integers(1, 40), world=st.integers(1, 9), epochs=st.integers(1, 3))
def test_each_sample_comes_once_an_epoch(small_run: Run, batch_size: int, world: int, epochs: int) -> None:
    seen: list[list[int]] = [[] for _ in range(epochs)]
    steps = set()
    for rank in range(world):
        with open_rank(small_run.path, batch_size, rank, world) as loader:
            for epoch in range(epochs):
                assert loader.epoch == epoch
                batches = [batch["sample_ids"].tolist() for batch in loader]
                steps.add(len(batches))
                seen[epoch] += [sample for batch in batches for sample in batch if sample >= 0]
            assert steps == {len(loader)}
    for own in seen:
        assert sorted(own) == list(range(len(small_run.sequences)))


@SETTINGS
@given(
    worlds=st.lists(st.tuples(st.sampled_from([1, 2, 4, 8]), st.integers(1, 9)), min_size=1, max_size=5),
    shuffle=st.sampled_from([True, False, BlockShuffle(4, 3)]),
)
def test_a_resume_on_other_worlds_goes_on_where_it_stopped(
    small_run: Run, worlds: list[tuple[int, int]], shuffle: Any
) -> None:
    total = sum(steps for _, steps in worlds)
    expected, _ = global_batches(small_run.path, 16, 1, total, shuffle=shuffle)
    state, got = None, []
    for world, steps in worlds:
        batches, state = global_batches(small_run.path, 16, world, steps, state, shuffle=shuffle)
        state = json.loads(json.dumps(state))
        got += batches
    assert got == expected


def test_the_order_depends_on_the_seed_and_the_epoch_alone(small_run: Run) -> None:
    first, _ = global_batches(small_run.path, 8, 1, 20)
    again, _ = global_batches(small_run.path, 8, 1, 20, threads=3, prefetch=5, buffers=12)
    other, _ = global_batches(small_run.path, 8, 1, 20, seed=8)
    assert first == again
    assert first != other
    with open_rank(small_run.path, 8, shuffle=False) as loader:
        assert [sample for batch in loader for sample in batch["sample_ids"] if sample >= 0] == list(
            range(len(small_run.sequences))
        )


def test_prefetched_batches_do_not_count(small_run: Run) -> None:
    with open_rank(small_run.path, 2, prefetch=6) as loader:
        batches = iter(loader)
        for step in range(3):
            next(batches)
            assert loader.state_dict()["samples"] == 2 * (step + 1)


def test_leaving_an_epoch_and_coming_back_goes_on(small_run: Run) -> None:
    with open_rank(small_run.path, 4) as loader:
        whole = [samples(batch) for batch in loader]
    with open_rank(small_run.path, 4) as loader:
        first = []
        for batch in loader:
            first.append(samples(batch))
            if len(first) == 5:
                break
        assert first + [samples(batch) for batch in loader] == whole
        assert loader.epoch == 1


def test_a_state_at_the_end_of_an_epoch_begins_the_next(small_run: Run) -> None:
    with open_rank(small_run.path, 10) as loader:
        for batch in loader:
            del batch
        state = loader.state_dict()
        second = [samples(batch) for batch in loader]
    with open_rank(small_run.path, 10) as loader:
        loader.load_state_dict(state)
        assert [samples(batch) for batch in loader] == second
        loader.set_epoch(1)
        assert [samples(batch) for batch in loader] == second
        loader.set_epoch(2)
        assert loader.epoch == 2


def test_accumulation_makes_whole_optimizer_steps(small_run: Run) -> None:
    with open_rank(small_run.path, 7, accumulate=4) as loader:
        count = len(list(batch.sequences for batch in loader))
        assert count == len(loader)
        assert count % 4 == 0


def test_model_parallel_ranks_get_the_same(small_run: Run) -> None:
    mesh = Mesh(dp=2, tp=2, pp=2)
    own = []
    for rank in range(8):
        with Loader(small_run.path, batch_size=4, rank=rank, mesh=mesh, as_numpy=True) as loader:
            own.append([samples(batch) for batch in loader])
    assert own[0] == own[1] == own[4] == own[5]
    assert own[2] == own[3] == own[6] == own[7]
    assert own[0] != own[2]


def test_a_state_of_another_feed_is_refused_with_what_changed(small_run: Run, tmp_path: Path) -> None:
    with open_rank(small_run.path, 4) as loader:
        next(iter(loader))
        state = loader.state_dict()
    assert len(json.dumps(state)) < 500
    other = write_run(tmp_path / "other", random_documents(150, 40, 5), 32)

    def refusal(run: Path, **options: Any) -> str:
        with open_rank(run, 4, **options) as loader, pytest.raises(GristmillError) as caught:
            loader.load_state_dict(state)
        assert caught.value.code == "GM_FEED_STATE"
        return caught.value.message

    assert "seed was 7, is 8" in refusal(small_run.path, seed=8)
    assert 'shuffle was {"kind":"full"}, is {"kind":"none"}' in refusal(small_run.path, shuffle=False)
    assert "datasets was" in refusal(other.path)
    with open_rank(small_run.path, 4) as loader:
        for bad in ("{", "{}", '{"version": 99}', '{"version": 1}'):
            with pytest.raises(GristmillError, match="GM_FEED_STATE"):
                loader.load_state_dict(bad)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Three runs of different sizes."""
    folder = tmp_path_factory.mktemp("mixture")
    return [
        write_run(folder / name, random_documents(count, 32, seed), 32)
        for seed, (name, count) in enumerate([("a", 40), ("b", 90), ("c", 300)])
    ]


class TestMixtures:
    """Several runs in fixed shares."""

    def mixture(self, runs: list[Run], **options: Any) -> Mixture:
        weights = options.pop("weights", [None] * 3)
        components = [Component(run.path, weight) for run, weight in zip(runs, weights, strict=True)]
        return Mixture(components, **options)

    def counts(self, mixture: Mixture) -> list[int]:
        with open_rank(mixture, 64) as loader:
            drawn = np.concatenate([np.array(batch["dataset_ids"]) for batch in loader])
            return [int((drawn == dataset).sum()) for dataset in range(3)]

    def test_shares_are_the_weights(self, runs: list[Run]) -> None:
        assert self.counts(self.mixture(runs, weights=[1, 2, 5], tokens=65_536 * 32)) == [8192, 16_384, 40_960]

    def test_temperature_evens_shares_out(self, runs: list[Run]) -> None:
        sizes = [len(run.sequences) for run in runs]
        for temperature in (1.0, 2.0, 100.0):
            counts = self.counts(self.mixture(runs, temperature=temperature, tokens=65_536 * 32))
            weights = np.array(sizes) ** (1 / temperature)
            np.testing.assert_allclose(counts, weights / weights.sum() * 65_536, atol=2)

    def test_budgets_make_shares_and_the_epoch(self, runs: list[Run]) -> None:
        components = [Component(run.path, tokens=32 * 100 * (at + 1)) for at, run in enumerate(runs)]
        counts = self.counts(Mixture(components))
        assert sum(counts) == 600
        np.testing.assert_allclose(counts, [100, 200, 300], atol=40)

    def test_each_component_comes_once_a_pass(self, runs: list[Run]) -> None:
        stages = [Stage(32 * 500, [1, 1, 1]), Stage(32 * 900, [0, 1, 3])]
        mixture = self.mixture(runs, weights=[3, 1, 1], stages=stages)
        streams: list[list[int]] = [[], [], []]
        with open_rank(mixture, 16) as loader:
            for _ in range(4):
                for batch in loader:
                    for dataset, sample in samples(batch):
                        if sample >= 0:
                            streams[dataset].append(sample)
        for stream, run in zip(streams, runs, strict=True):
            size = len(run.sequences)
            for start in range(0, len(stream) - size + 1, size):
                assert sorted(stream[start : start + size]) == list(range(size))

    def test_stages_change_the_shares(self, runs: list[Run]) -> None:
        mixture = self.mixture(runs, weights=[1, 0, 0], stages=[Stage(32 * 256, [0, 1, 1])], tokens=32 * 512)
        with open_rank(mixture, 256) as loader:
            first, second = (set(batch["dataset_ids"].tolist()) for batch in loader)
        assert (first, second) == ({0}, {1, 2})

    @SETTINGS
    @given(worlds=st.lists(st.tuples(st.sampled_from([1, 2, 4]), st.integers(1, 12)), min_size=1, max_size=4))
    def test_a_resume_goes_on_where_it_stopped(self, runs: list[Run], worlds: list[tuple[int, int]]) -> None:
        mixture = self.mixture(runs, weights=[1, 1, 2], stages=[Stage(32 * 100, [1, 2, 1])])
        expected, _ = global_batches(mixture, 16, 1, sum(steps for _, steps in worlds))
        state, got = None, []
        for world, steps in worlds:
            batches, state = global_batches(mixture, 16, world, steps, state)
            got += batches
        assert got == expected

    def test_other_shares_refuse_a_state(self, runs: list[Run]) -> None:
        with open_rank(self.mixture(runs, weights=[1, 2, 3]), 4) as loader:
            state = loader.state_dict()
        with open_rank(self.mixture(runs, weights=[1, 2, 4]), 4) as loader:
            with pytest.raises(GristmillError, match="shares was"):
                loader.load_state_dict(state)

    def test_what_is_no_mixture_is_refused(self, runs: list[Run]) -> None:
        for mixture in (
            Mixture([]),
            self.mixture(runs, weights=[1, None, 1]),
            self.mixture(runs, weights=[1, 2, 3], temperature=2.0),
            self.mixture(runs, temperature=0.0),
            self.mixture(runs, weights=[0, 0, 0]),
            self.mixture(runs, weights=[1, 1, 1], stages=[Stage(100, [1])]),
        ):
            with pytest.raises(GristmillError, match="GM_CONFIG"):
                open_rank(mixture, 4)
