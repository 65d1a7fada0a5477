"""Batches of documents by length: contents against a plain reference, order, resumes, padding."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import reference
from gristmill import Component, GristmillError, Loader, Mixture
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs import Run, random_documents, write_run

SETTINGS = settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
BUCKETS = (8, 16, 32)


def open_rank(run: Any, rank: int = 0, world: int = 1, **options: Any) -> Loader:
    told = {"seed": 7, "as_numpy": True, "buckets": BUCKETS, **options}
    return Loader(run, rank=rank, world_size=world, **told)


def global_batches(run: Any, world: int, steps: int, state: Any = None, **options: Any) -> Any:
    """What is in the next ``steps`` global batches, in no order within each, and the state after them."""
    ranks = [open_rank(run, rank, world, **options) for rank in range(world)]
    for loader in ranks:
        if state is not None:
            loader.load_state_dict(state)
    batches = []
    for _ in range(steps):
        own = [next(iter(loader)) for loader in ranks]
        assert len({batch["tokens"].shape for batch in own}) == 1
        batches.append((own[0]["tokens"].shape[1], sorted(sample for batch in own for sample in batch["sample_ids"])))
    states = [loader.state_dict() for loader in ranks]
    assert all(one == states[0] for one in states)
    for loader in ranks:
        loader.close()
    return batches, json.loads(json.dumps(states[0]))


@pytest.mark.parametrize("shift", [True, False])
@pytest.mark.parametrize("size", [{"batch_size": 4}, {"max_tokens": 128}])
def test_contents_are_what_the_reference_makes(small_run: Run, shift: bool, size: dict[str, int]) -> None:
    fields = ("tokens", "labels", "position_ids", "loss_mask", "attention_mask")
    lengths = set()
    with open_rank(small_run.path, fields=fields, shift_labels=shift, pad_id=5, **size) as loader:
        seen = []
        for batch in loader:
            rows, columns = batch["tokens"].shape
            lengths.add(columns)
            assert columns in BUCKETS
            assert rows == size.get("batch_size", 128 // columns)
            ids = batch["sample_ids"].tolist()
            seen += [sample for sample in ids if sample >= 0]
            documents = [[small_run.documents[sample][:columns]] if sample >= 0 else [] for sample in ids]
            expected = reference.batch(documents, columns, shift=shift, pad=5)
            for name in (*fields, "cu_seqlens"):
                np.testing.assert_array_equal(batch[name], expected[name], err_msg=name)
        assert sorted(seen) == list(range(len(small_run.documents)))
        assert lengths == set(BUCKETS)
        cut = sum(max(0, len(document) - 32) for document in small_run.documents)
        assert loader.stats()["truncated_tokens"] == cut > 0


@SETTINGS
@given(batch_size=st.integers(1, 12), world=st.integers(1, 6), accumulate=st.integers(1, 3), epochs=st.integers(1, 2))
def test_each_document_comes_once_an_epoch(
    small_run: Run, batch_size: int, world: int, accumulate: int, epochs: int
) -> None:
    for epoch in range(epochs):
        seen: list[int] = []
        steps = set()
        for rank in range(world):
            with open_rank(small_run.path, rank, world, batch_size=batch_size, accumulate=accumulate) as loader:
                loader.set_epoch(epoch)
                batches = [batch["sample_ids"].tolist() for batch in loader]
                loader.set_epoch(epoch)
                assert len(batches) == len(loader)
                assert len(batches) % accumulate == 0
                steps.add(len(batches))
                seen += [sample for batch in batches for sample in batch if sample >= 0]
        assert len(steps) == 1
        assert sorted(seen) == list(range(len(small_run.documents)))


@SETTINGS
@given(worlds=st.lists(st.tuples(st.sampled_from([1, 2, 4]), st.integers(1, 9)), min_size=1, max_size=4))
def test_a_resume_on_other_worlds_goes_on_where_it_stopped(small_run: Run, worlds: list[tuple[int, int]]) -> None:
    total = sum(steps for _, steps in worlds)
    expected, _ = global_batches(small_run.path, 1, total, max_tokens=256)
    state, got = None, []
    for world, steps in worlds:
        batches, state = global_batches(small_run.path, world, steps, state, max_tokens=256 // world)
        got += batches
    assert got == expected


def test_buckets_pad_less_than_one_length(small_run: Run) -> None:
    shares = []
    for buckets in (BUCKETS, (32,)):
        with open_rank(small_run.path, batch_size=4, buckets=buckets) as loader:
            for batch in loader:
                del batch
            shares.append(loader.stats()["padding_share"])
    assert shares[0] < 0.6 * shares[1]


def test_context_parallel_ranks_get_slices(small_run: Run) -> None:
    with open_rank(small_run.path, batch_size=4) as loader:
        whole = [batch["tokens"].copy() for batch in loader]
    halves = []
    for rank in range(2):
        with open_rank(small_run.path, rank, 2, mesh={"cp": 2}, batch_size=4) as loader:
            halves.append([batch["tokens"].copy() for batch in loader])
    for batch, first, second in zip(whole, *halves, strict=True):
        np.testing.assert_array_equal(np.concatenate([first, second], axis=1), batch)


def test_mixtures_have_buckets_too(small_run: Run, wide_run: Run) -> None:
    mixture = Mixture([Component(small_run.path, 1), Component(wide_run.path, 1)])
    with open_rank(mixture, batch_size=4) as loader:
        drawn = np.concatenate([batch["dataset_ids"].copy() for batch in loader])
        assert loader.epoch_samples == len(small_run.documents) + len(wide_run.documents)
    counts = [int((drawn == dataset).sum()) for dataset in (0, 1)]
    assert sum(counts) == loader.epoch_samples
    np.testing.assert_allclose(counts, sum(counts) / 2, rtol=0.3)


def test_token_budgets_have_buckets_too(small_run: Run, wide_run: Run) -> None:
    """Budgets count the ids that are taken of a document, by their mean in each component."""
    budgets = (30_000, 90_000)
    components = [Component(run.path, tokens=tokens) for run, tokens in zip((small_run, wide_run), budgets, strict=True)]
    taken = [[min(len(document), 32) for document in run.documents] for run in (small_run, wide_run)]
    drawn = [0, 0]
    with open_rank(Mixture(components), batch_size=4) as loader:
        for batch in loader:
            for dataset, sample in zip(batch["dataset_ids"].tolist(), batch["sample_ids"].tolist(), strict=True):
                drawn[dataset] += taken[dataset][sample] if sample >= 0 else 0
    np.testing.assert_allclose(drawn, budgets, rtol=0.03)


def test_other_global_batches_refuse_a_state(small_run: Run) -> None:
    with open_rank(small_run.path, batch_size=4) as loader:
        state = loader.state_dict()
    for options in ({"batch_size": 8}, {"batch_size": 4, "buckets": (8, 32)}, {"batch_size": 4, "accumulate": 2}):
        with open_rank(small_run.path, **options) as loader, pytest.raises(GristmillError, match="GM_FEED_STATE"):
            loader.load_state_dict(state)
    with open_rank(small_run.path, 1, 2, batch_size=2) as loader:
        loader.load_state_dict(state)


def test_documents_without_tokens_are_rows_of_padding(tmp_path: Any) -> None:
    run = write_run(tmp_path / "run", [[], [1, 2, 3], [], [4]], 8)
    with open_rank(run.path, batch_size=2) as loader:
        batches = [{name: np.array(batch[name]) for name in ("sample_ids", "attention_mask")} for batch in loader]
    rows = {int(i): int(m.sum()) for b in batches for i, m in zip(b["sample_ids"], b["attention_mask"], strict=True)}
    assert rows == {0: 0, 1: 3, 2: 0, 3: 1}


def test_packs_take_a_token_budget_as_well(small_run: Run) -> None:
    with Loader(small_run.path, max_tokens=130, as_numpy=True) as loader:
        assert next(iter(loader))["tokens"].shape == (4, 32)


def test_wide_ids(wide_run: Run) -> None:
    with open_rank(wide_run.path, batch_size=3, fields=("tokens",), buckets=(16, 80)) as loader:
        for batch in loader:
            for sample, row in zip(batch["sample_ids"].tolist(), batch["tokens"], strict=True):
                document = wide_run.documents[sample] if sample >= 0 else []
                assert row.tolist() == document + [0] * (len(row) - len(document))


def test_windows_join(tmp_path: Any) -> None:
    """There are more documents than a window has."""
    run = write_run(tmp_path / "run", random_documents(20_000, 20), 32)
    with open_rank(run.path, batch_size=64, fields=("tokens",)) as loader:
        seen = np.concatenate([batch["sample_ids"].copy() for batch in loader])
        partial = int((seen < 0).sum())
    assert sorted(seen[seen >= 0].tolist()) == list(range(20_000))
    assert partial < 2 * 64
