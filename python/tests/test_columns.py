"""Columns of the documents: mixtures by their values, batches and an order by their numbers."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gristmill import Component, Difficulty, GristmillError, Loader, Mixture, Stage
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from runs import Run, random_documents, write_run

SETTINGS = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LANGUAGES = ("en", "zh", "de", None)
BUCKETS = (8, 16, 32)

Told = tuple[Run, dict[str, list[Any]]]


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """400 documents in three shards, with what is known of each."""
    documents = random_documents(400, 40)
    random = np.random.default_rng(3)
    columns: dict[str, list[Any]] = {
        "lang": [LANGUAGES[at] for at in random.choice(4, 400, p=[0.6, 0.25, 0.1, 0.05])],
        "year": random.integers(2020, 2023, 400).tolist(),
        "clean": random.integers(0, 2, 400).astype(bool).tolist(),
        "grade": random.exponential(10.0, 400).round(3).tolist(),
        "holes": [None if at == 123 else at for at in range(400)],
    }
    path: Path = tmp_path_factory.mktemp("columns") / "run"
    return write_run(path, documents, 32, shards=3, columns=columns), columns


def open_documents(run: Any, rank: int = 0, world: int = 1, **options: Any) -> Loader:
    given = {"seed": 7, "as_numpy": True, "fields": ("tokens",), "buckets": BUCKETS, "batch_size": 8, **options}
    return Loader(run, rank=rank, world_size=world, **given)


def open_packs(run: Any, **options: Any) -> Loader:
    return Loader(run, **{"seed": 7, "as_numpy": True, "fields": ("tokens",), "batch_size": 8, **options})


def samples(loader: Loader) -> list[tuple[int, int]]:
    """Component and place in the run of all samples of an epoch."""
    found = []
    for batch in loader:
        pairs = zip(batch["dataset_ids"].tolist(), batch["sample_ids"].tolist(), strict=True)
        found += [pair for pair in pairs if pair[1] >= 0]
    return found


def value_of_sequences(run: Run, values: list[Any], known: list[Any]) -> list[Any]:
    """What most ids of each sequence have: the first of `known` where two have as many."""
    found = []
    for pieces in run.pieces:
        ids: Counter[Any] = Counter()
        for document, count in pieces:
            ids[values[document] if values[document] in known else "other"] += count
        most = max(ids.values())
        found.append(next(value for value in [*known, "other"] if ids[value] == most))
    return found


def grades_of_sequences(run: Run, grades: list[float]) -> list[float]:
    """The mean over the ids of each sequence."""
    exact = np.array(grades, np.float32).astype(float)
    return [
        float(np.float32(sum(exact[document] * count for document, count in pieces) / sum(count for _, count in pieces)))
        for pieces in run.pieces
    ]


@pytest.mark.parametrize("column", ["lang", "year", "clean"])
def test_components_are_the_documents_with_a_value(told: Told, column: str) -> None:
    run, columns = told
    values = sorted({value for value in columns[column] if value is not None}, key=lambda value: str(value).lower())
    with open_documents(Mixture.by(run.path, column)) as loader:
        assert loader.component_samples == [columns[column].count(value) for value in values]
        own = samples(loader)
    for dataset, sample in own:
        assert columns[column][sample] == values[dataset]
    assert len(own) == sum(value is not None for value in columns[column])
    # Of each component every sample comes once before any comes again; batches of one window are shuffled.
    for dataset, value in enumerate(values):
        of_value = [number for number, one in enumerate(columns[column]) if one == value]
        times = Counter(sample for component, sample in own if component == dataset)
        counts = [times[sample] for sample in of_value]
        assert max(counts) - min(counts) <= 1


def test_contents_are_those_of_the_documents(told: Told) -> None:
    run, _ = told
    with open_documents(Mixture.by(run.path, "lang", {"zh": 1, "de": 2})) as loader:
        for batch in loader:
            for sample, row in zip(batch["sample_ids"].tolist(), batch["tokens"], strict=True):
                document = run.documents[sample][: len(row)] if sample >= 0 else []
                assert row.tolist() == document + [0] * (len(row) - len(document))


def test_packed_sequences_have_the_value_of_most_of_their_ids(told: Told) -> None:
    run, columns = told
    known = ["zh", "en"]
    expected = value_of_sequences(run, columns["lang"], known)
    with open_packs(Mixture.by(run.path, "lang", known)) as loader:
        assert loader.component_samples == [expected.count(value) for value in known]
        own = samples(loader) + samples(loader)
    for dataset, value in enumerate(known):
        drawn = [sample for component, sample in own if component == dataset]
        of_value = [sample for sample, one in enumerate(expected) if one == value]
        for start in range(0, len(drawn) - len(of_value) + 1, len(of_value)):
            assert sorted(drawn[start : start + len(of_value)]) == of_value


def test_shares_are_the_weights(told: Told) -> None:
    run, _ = told
    mixture = Mixture.by(run.path, "lang", {"en": 1, "zh": 3}, tokens=65_536 * 32)
    with open_packs(mixture, batch_size=512) as loader:
        drawn = Counter(dataset for dataset, _ in samples(loader))
    assert drawn == {0: 16_384, 1: 49_152}


def test_other_runs_may_be_beside(told: Told, small_run: Run) -> None:
    run, columns = told
    parts = [Component(run.path, where={"lang": "de"}), Component(small_run.path), Component(run.path, where={"year": 2021})]
    with open_documents(Mixture(parts)) as loader:
        counts = [columns["lang"].count("de"), len(small_run.documents), columns["year"].count(2021)]
        assert loader.component_samples == counts


@SETTINGS
@given(worlds=st.lists(st.tuples(st.sampled_from([1, 2, 4]), st.integers(1, 9)), min_size=1, max_size=4))
def test_a_resume_on_other_worlds_goes_on_where_it_stopped(told: Told, worlds: list[tuple[int, int]]) -> None:
    run, _ = told
    stages = [Stage(2000, [1, 2]), Stage(3000, [0, 1])]
    mixture = Mixture.by(run.path, "lang", {"en": 2, "zh": 1}, tokens=4000, stages=stages)
    options: dict[str, Any] = {"difficulty": Difficulty("grade", limit=64.0), "batch_size": None}

    def steps(world: int, count: int, state: Any) -> tuple[list[Any], Any]:
        ranks = []
        for rank in range(world):
            told_options = {**options, "max_tokens": 512 // world, "difficulty": Difficulty("grade", limit=64.0 / world)}
            ranks.append(open_documents(mixture, rank, world, **told_options))
        batches = []
        for loader in ranks:
            if state is not None:
                loader.load_state_dict(state)
        for _ in range(count):
            own = [next(iter(loader)) for loader in ranks]
            assert len({batch["tokens"].shape for batch in own}) == 1
            batches.append(sorted(int(sample) for batch in own for sample in batch["sample_ids"] if sample >= 0))
        states = [loader.state_dict() for loader in ranks]
        assert all(one == states[0] for one in states)
        for loader in ranks:
            loader.close()
        return batches, json.loads(json.dumps(states[0]))

    expected, _ = steps(1, sum(count for _, count in worlds), None)
    state, got = None, []
    for world, count in worlds:
        batches, state = steps(world, count, state)
        got += batches
    assert got == expected


def test_budgets_of_documents_are_kept(told: Told) -> None:
    run, columns = told
    taken = [min(len(document), 32) for document in run.documents]
    with open_documents(Mixture.by(run.path, "lang", budgets={"en": 60_000, "zh": 20_000})) as loader:
        drawn = samples(loader)
    tokens = Counter[int]()
    for dataset, sample in drawn:
        tokens[dataset] += taken[sample]
    # Whole passes are exact; the rest of one is as good as its documents are alike.
    np.testing.assert_allclose([tokens[0], tokens[1]], [60_000, 20_000], rtol=0.03)
    with open_documents(Mixture.by(run.path, "lang", {"en": 1, "zh": 1}, tokens=50_000)) as loader:
        assert sum(taken[sample] for _, sample in samples(loader)) == pytest.approx(50_000, rel=0.03)


def test_stages_of_documents_begin_at_their_tokens(told: Told) -> None:
    run, _ = told
    taken = [min(len(document), 32) for document in run.documents]
    mixture = Mixture.by(run.path, "lang", {"en": 1, "zh": 0}, tokens=40_000, stages=[Stage(30_000, [0, 1])])
    with open_documents(mixture, batch_size=1) as loader:
        drawn = samples(loader)
    tokens = [sum(taken[sample] for dataset, sample in drawn if dataset == component) for component in (0, 1)]
    np.testing.assert_allclose(tokens, [30_000, 10_000], rtol=0.05)


@pytest.mark.parametrize("limit", [5.0, 60.0, 1e9])
def test_batches_stay_below_the_limit(told: Told, limit: float) -> None:
    run, columns = told
    grades = np.array(columns["grade"], np.float32)
    seen: list[int] = []
    with open_documents(run.path, difficulty=Difficulty("grade", limit=limit)) as loader:
        for batch in loader:
            own = batch["sample_ids"].tolist()
            assert len(own) <= 8
            assert grades[own].sum(dtype=np.float64) <= limit or len(own) == 1
            assert all(one >= other for one, other in zip(grades[own], grades[own][1:], strict=False))
            seen += own
        loader.set_epoch(0)
        assert len(loader) > 0
    assert sorted(seen) == list(range(400))


def test_ranks_get_nearly_the_same_difficulty(told: Told) -> None:
    run, columns = told
    grades = np.array(columns["grade"])
    sums = np.zeros(4)
    for rank in range(4):
        with open_documents(run.path, rank, 4, difficulty=Difficulty("grade", limit=100.0)) as loader:
            sums[rank] = sum(grades[sample] for _, sample in samples(loader))
    assert sums.sum() == pytest.approx(grades.sum())
    assert sums.max() < 1.1 * sums.mean()


def test_packed_sequences_have_limits_too(told: Told) -> None:
    run, columns = told
    grades = grades_of_sequences(run, columns["grade"])
    seen: list[int] = []
    with open_packs(run.path, difficulty=Difficulty("grade", limit=50.0)) as loader:
        for batch in loader:
            own = batch["sample_ids"].tolist()
            assert np.array(grades, np.float32)[own].sum(dtype=np.float64) <= 50 or len(own) == 1
            seen += own
    assert sorted(seen) == list(range(len(run.sequences)))


@pytest.mark.parametrize("documents", [True, False])
def test_an_epoch_goes_from_easy_to_hard(told: Told, documents: bool) -> None:
    run, columns = told
    options: dict[str, Any] = {"difficulty": Difficulty("grade", bands=8), "batch_size": 1}
    open_run = open_documents if documents else open_packs
    if documents:
        options["buckets"] = (64,)
    with open_run(run.path, **options) as loader:
        first = [sample for _, sample in samples(loader)]
        second = [sample for _, sample in samples(loader)]
        assert loader.component_samples == [len(first)]
    if documents:
        # One window's batches are shuffled, so the order shows between windows only; here there is one.
        assert sorted(first) == sorted(second) == list(range(400))
        return
    grades = grades_of_sequences(run, columns["grade"])
    firsts = np.sort(grades)[[band * len(grades) // 8 for band in range(1, 8)]]
    assert first != second
    for epoch in (first, second):
        assert sorted(epoch) == list(range(len(grades)))
        bands = np.searchsorted(firsts, np.array(grades)[epoch], "right")
        assert (np.diff(bands) >= 0).all()
        assert set(bands.tolist()) == set(range(8))


def test_a_state_is_of_its_column_and_limit(told: Told) -> None:
    run, _ = told
    with open_documents(run.path, difficulty=Difficulty("grade", limit=50.0)) as loader:
        state = loader.state_dict()
    for difficulty in (None, Difficulty("year", limit=50.0), Difficulty("grade", limit=60.0)):
        with open_documents(run.path, difficulty=difficulty) as loader, pytest.raises(GristmillError, match="difficulty was"):
            loader.load_state_dict(state)
    with open_documents(Mixture.by(run.path, "lang", ["en", "zh"])) as loader:
        state = loader.state_dict()
    with open_documents(Mixture.by(run.path, "lang", ["en", "de"])) as loader:
        with pytest.raises(GristmillError, match="datasets was"):
            loader.load_state_dict(state)


def test_a_damaged_table_is_found(told: Told, tmp_path: Path) -> None:
    _, columns = told
    run = write_run(tmp_path / "run", random_documents(400, 40), 32, columns=columns)
    path = run.path / "shards/00000.docs.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(GristmillError, match="docs.parquet") as caught:
        open_documents(run.path, difficulty=Difficulty("grade", limit=1.0))
    assert caught.value.code == "GM_SHARD_CHECKSUM"
    path.unlink()
    with pytest.raises(GristmillError, match="docs.parquet") as caught:
        open_packs(Mixture.by(run.path, "lang", ["en"]))
    assert caught.value.code == "GM_IO"
    open_packs(run.path).close()  # who asks for no column needs no table


@pytest.mark.parametrize(
    ("runs", "options", "message"),
    [
        (lambda run: Mixture.by(run, "language"), {}, "no column 'language'"),
        (lambda run: Mixture.by(run, "lang", {"fr": 1}), {}, "whose 'lang' is mostly 'fr'"),
        (lambda run: Mixture.by(run, "grade"), {}, "grade"),
        (lambda run: Mixture.by(run, "holes"), {}, "more than 255 values"),
        (lambda run: Mixture([Component(run, where={"lang": "en"})] * 2), {}, "named twice"),
        (lambda run: Mixture([Component(run, where={"lang": "en", "year": 2021})]), {}, "not one column"),
        (lambda run: run, {"difficulty": Difficulty("grade")}, "`limit` or `bands`"),
        (lambda run: run, {"difficulty": Difficulty("grade", limit=-1.0)}, "limit -1"),
        (lambda run: run, {"difficulty": Difficulty("grade", bands=0)}, "bands are from 1 to 254"),
        (lambda run: run, {"difficulty": Difficulty("holes", limit=1.0)}, "has no number in column 'holes'"),
        (lambda run: run, {"difficulty": Difficulty("lang", limit=1.0)}, "lang"),
        (lambda run: Mixture.by(run, "lang"), {"difficulty": Difficulty("grade", bands=4)}, "stages"),
    ],
)
def test_what_does_not_fit_is_refused(told: Told, runs: Any, options: Any, message: str) -> None:
    with pytest.raises(GristmillError, match="GM_") as caught:
        open_packs(runs(told[0].path), **options)
    assert message in caught.value.message
