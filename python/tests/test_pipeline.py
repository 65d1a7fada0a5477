"""Loaders that run a pipeline: what comes, in which order, on which ranks, after which stop."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pipelines import END, Text, write_text

from gristmill import BlockShuffle, GristmillError, Loader
from gristmill.stats import FeederStats

#: A row as (task, sequence, ids); None for a row of padding.
Row = tuple[int, int, tuple[int, ...]] | None


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Text:
    """Seven tasks of thirty documents."""
    return write_text(tmp_path_factory.mktemp("pipeline") / "text")


def open_loader(text: Text, batch_size: int = 4, **options: Any) -> Loader:
    return Loader(options.pop("pipeline", text.pipeline()), batch_size=batch_size, seed=7, as_numpy=True, **options)


def rows_of(batch: Any) -> list[Row]:
    rows: list[Row] = []
    columns = zip(batch["dataset_ids"], batch["sample_ids"], batch["tokens"], batch["attention_mask"])
    for task, sequence, tokens, there in columns:
        rows.append(None if sequence < 0 else (int(task), int(sequence), tuple(tokens[there].tolist())))
    return rows


def epoch_of(loader: Loader) -> list[list[Row]]:
    return [rows_of(batch) for batch in loader]


def documents_of(rows: list[Row]) -> list[tuple[int, ...]]:
    """The documents, or pieces of long ones, of all rows."""
    found = []
    for row in rows:
        piece: list[int] = []
        for id in row[2] if row else ():
            piece.append(id)
            if id == END:
                found.append(tuple(piece))
                piece = []
        if piece:
            found.append(tuple(piece))
    return found


def flat(batches: list[list[Row]]) -> list[Row]:
    return [row for batch in batches for row in batch]


def pieces(documents: list[list[int]], length: int = 32) -> Counter[tuple[int, ...]]:
    """Documents as best-fit cuts them: whole sequences and a rest."""
    return Counter(tuple(one[at : at + length]) for one in documents for at in range(0, len(one), length))


def test_an_epoch_has_every_token_of_every_document_once(text: Text) -> None:
    with open_loader(text) as loader:
        first, second = epoch_of(loader), epoch_of(loader)
        assert len(loader) == len(first) == len(second)
        assert loader.epoch_samples == len([row for row in flat(first) if row])
        feeder = feeder_stats(loader)
    for batches in (first, second):
        got = Counter(documents_of(flat(batches)))
        # A piece of a full sequence and the rest of its document may stand side by side.
        assert sum(len(one) * count for one, count in got.items()) == sum(map(len, text.documents))
        assert {one: count for one, count in got.items() if len(one) < 32} == {
            one: count for one, count in pieces(text.documents).items() if len(one) < 32
        }
    assert Counter(flat(first)) == Counter(flat(second)) and flat(first) != flat(second)
    assert feeder["rows"] == 210 and feeder["quarantined"] == 0
    assert feeder["made"] == 7


def test_the_order_is_a_block_shuffle_by_tasks(text: Text) -> None:
    with open_loader(text) as loader:
        tasks = [row[0] for row in flat(epoch_of(loader)) if row]
    groups = [set(tasks[at:end]) for at, end in group_bounds(tasks, 3)]
    assert [len(group) for group in groups] == [3, 3, 1] and set().union(*groups) == set(range(7))
    with open_loader(text, shuffle=False) as loader:
        rows = [row for row in flat(epoch_of(loader)) if row]
        assert [row[:2] for row in rows] == sorted(row[:2] for row in rows)


def group_bounds(tasks: list[int], group: int) -> list[tuple[int, int]]:
    """Where groups of so many tasks begin and end, if tasks of one group never come back later."""
    bounds, start, seen = [], 0, set[int]()
    for at, task in enumerate(tasks):
        if task not in seen and len(seen) == group:
            bounds.append((start, at))
            start, seen = at, set()
        seen.add(task)
    return [*bounds, (start, len(tasks))]


@pytest.mark.parametrize("world_size", [2, 4])
def test_ranks_divide_the_same_global_batches(text: Text, world_size: int) -> None:
    with open_loader(text, pipeline=text.pipeline(workers=2), batch_size=8) as loader:
        expected = epoch_of(loader)
    ranks = []
    for rank in range(world_size):
        with open_loader(text, batch_size=8 // world_size, rank=rank, world_size=world_size) as loader:
            ranks.append(epoch_of(loader))
    assert [[row for part in parts for row in part] for parts in zip(*ranks, strict=True)] == expected
    assert None in expected[-1] and None not in flat(expected[:-1])


@pytest.mark.parametrize("stop", [1, 17])
def test_a_resume_goes_on_on_another_world(text: Text, stop: int) -> None:
    with open_loader(text, batch_size=8) as loader:
        batches = iter(loader)
        for _ in range(stop):
            next(batches)
        state = json.dumps(loader.state_dict())
        expected = [rows_of(batch) for batch in batches]
        following = epoch_of(loader)
    halves = []
    for rank in range(2):
        with open_loader(text, rank=rank, world_size=2) as loader:
            loader.load_state_dict(state)
            assert loader.state_dict() == json.loads(state)
            halves.append((epoch_of(loader), epoch_of(loader)))
    for epoch, whole in enumerate((expected, following)):
        assert [a + b for a, b in zip(*(half[epoch] for half in halves), strict=True)] == whole


def test_a_state_without_its_place_is_refused(text: Text) -> None:
    with open_loader(text) as loader:
        state = loader.state_dict()
        assert state["place"] == {"group": 0, "within": 0} and len(json.dumps(state)) < 1000
        for place in (None, {"group": 99, "within": 0}, {"group": 0, "within": 1}):
            with pytest.raises(GristmillError, match="names no place") as refused:
                loader.load_state_dict({**state, "place": place})
            assert refused.value.code == "GM_FEED_STATE"


def test_a_state_goes_back_too(text: Text) -> None:
    with open_loader(text) as loader:
        batches = iter(loader)
        next(batches)
        state = loader.state_dict()
        expected = [rows_of(batch) for batch in batches]
        next(iter(loader))
        loader.load_state_dict(state)
        assert epoch_of(loader) == expected
        loader.set_epoch(0)
        assert epoch_of(loader)[1:] == expected


def test_a_state_of_another_pipeline_is_refused_with_what_changed(text: Text) -> None:
    with open_loader(text) as loader:
        state = loader.state_dict()
    changes = [
        (text.pipeline(group=4), {}, "group was 3, is 4"),
        (text.pipeline(set={"steps.1.pack.strategy": "concat"}), {}, "packing was"),
        (text.pipeline(set={"source.paths": '["data/00[0-4].jsonl"]'}), {}, "inputs was"),
        (text.pipeline(), {"seq_len": 16}, "seq_len was 32, is 16"),
    ]
    for pipeline, options, message in changes:
        with open_loader(text, pipeline=pipeline, **options) as loader:
            with pytest.raises(GristmillError, match=message) as refused:
                loader.load_state_dict(state)
            assert refused.value.code == "GM_FEED_STATE"


def test_how_many_batches_there_are_is_known_after_an_epoch(text: Text) -> None:
    with open_loader(text) as loader:
        assert loader.epoch_samples is None and "of unknown samples" in repr(loader)
        with pytest.raises(TypeError, match="when all of its input was seen"):
            len(loader)
        assert len(epoch_of(loader)) == len(loader)


def test_accumulation_and_labels_are_those_of_prepared_runs(text: Text) -> None:
    fields = ("tokens", "labels", "position_ids", "loss_mask", "attention_mask")
    with open_loader(text, accumulate=4, fields=fields, buffers=200) as loader:
        batches = list(loader)
    assert len(batches) % 4 == 0
    for batch in batches:
        assert ((batch["labels"] != -100) == batch["loss_mask"]).all()
        ends = batch["cu_seqlens"]
        assert ends[-1] == 4 * 32 and (batch["labels"].reshape(-1)[ends[1:] - 1] == -100).all()
        inner = batch["loss_mask"][:, :-1]
        assert (batch["labels"][:, :-1][inner] == batch["tokens"][:, 1:][inner]).all()


def test_a_users_function_runs_in_the_feeder(tmp_path: Path) -> None:
    text = write_text(tmp_path / "text", files=2)
    (text.file.parent / "corpus.ts").write_text(
        """import { jsonl, megatron } from 'gristmill'
        import { isShort } from './short.js'
        export default jsonl<{ id: string; text: string }>('data/*.jsonl')
          .filter((row) => !isShort(row.text))
          .tokenize({ tokenizer: './tokenizer.json', append: '<end>' })
          .write(megatron())
        """
    )
    (text.file.parent / "short.ts").write_text("export const isShort = (text: string): boolean => text.length < 40\n")
    kept = [one for one in text.documents if len(" ".join(f"w{id}" for id in one[:-1])) >= 40]
    pipeline = Text(text.file.parent / "corpus.ts", []).pipeline()
    with open_loader(text, pipeline=pipeline, seq_len=64) as loader:
        got = Counter(documents_of(flat(epoch_of(loader))))
        feeder = feeder_stats(loader)
    assert got == Counter(tuple(one) for one in kept)
    assert feeder["removed"] == len(text.documents) - len(kept) > 0


def test_bad_records_are_counted_and_errors_have_the_feeders_words(tmp_path: Path) -> None:
    text = write_text(tmp_path / "text", files=2)
    with (text.file.parent / "data/000.jsonl").open("a") as out:
        out.write("{ this is no JSON\n")
    with open_loader(text) as loader:
        epoch_of(loader)
        feeder = feeder_stats(loader)
        assert (feeder["rows"], feeder["quarantined"]) == (61, 1)

    (text.file.parent / "corpus.ts").write_text(
        """import { jsonl, megatron } from 'gristmill'
        export default jsonl<{ id: string; text: string }>('data/*.jsonl')
          .filter((row) => { if (row.id === '1-3') throw new Error('no such luck'); return true })
          .tokenize({ tokenizer: './tokenizer.json', append: '<end>' })
          .write(megatron())
        """
    )
    with open_loader(text, pipeline=Text(text.file.parent / "corpus.ts", []).pipeline(), seq_len=64) as loader:
        with pytest.raises(GristmillError, match="row '1-3': the function threw: no such luck") as thrown:
            epoch_of(loader)
        assert thrown.value.code == "GM_USER_FUNCTION"


WHOLE_DATA = "[exact-dedup, { tokenize: { tokenizer: ./tokenizer.json } }, { pack: { length: 32 } }]"


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ({"pipeline": {"set": {"steps": WHOLE_DATA}}}, "GM_CONFIG", "'exact-dedup' needs the whole data.*run the pipeline once"),
        ({"pipeline": {"set": {"source.paths": "nothing/*.jsonl"}}}, "GM_INPUT_NONE", "nothing"),
        ({"pipeline": {"set": {"steps.0.tokenize.tokenizer": "./none.json"}}}, "GM_", "none.json"),
        ({"pipeline": {"group": 0}}, "GM_CONFIG", "'group'"),
        ({"pipeline": {"workers": 0}}, "GM_CONFIG", "'workers': 0 is no whole number from 1 to 1024"),
        ({"pipeline": {"cache_bytes": -1}}, "GM_CONFIG", "'cache_bytes'"),
        ({"seq_len": 0}, "GM_CONFIG", "'seq_len'"),
        ({"shuffle": BlockShuffle()}, "GM_CONFIG", "'shuffle'"),
        ({"buckets": (16, 32)}, "GM_CONFIG", "'buckets'"),
        ({"pad_id": 90_000}, "GM_CONFIG", "'pad_id'"),
    ],
)
def test_what_does_not_fit_is_refused_when_the_loader_is_opened(
    text: Text, options: dict[str, Any], code: str, message: str
) -> None:
    options = {**options, "pipeline": text.pipeline(**options.get("pipeline", {}))}
    with pytest.raises(GristmillError, match=message) as refused:
        open_loader(text, **options)
    assert refused.value.code.startswith(code)


def test_a_pipeline_without_a_sequence_is_an_error_and_not_an_endless_epoch(text: Text) -> None:
    with open_loader(text, pipeline=text.pipeline(set={"source.where": '"length(text) > 1000000"'})) as loader:
        with pytest.raises(GristmillError, match="no sequence comes out of it"):
            next(iter(loader))


def test_held_batches_keep_their_contents(text: Text) -> None:
    with open_loader(text, buffers=4) as loader:
        batches = iter(loader)
        held = [next(batches) for _ in range(4)]
        copies = [batch["tokens"].copy() for batch in held]
        with pytest.raises(GristmillError) as full:
            next(batches)
        assert full.value.code == "GM_FEED_BUFFERS"
    assert all((batch["tokens"] == copy).all() for batch, copy in zip(held, copies))
    assert isinstance(held[0]["tokens"], np.ndarray)


def feeder_stats(loader: Loader) -> FeederStats:
    feeder = loader.stats()["feeder"]
    assert feeder is not None
    return feeder


def test_the_order_is_the_same_with_and_without_a_cache_and_after_it_is_gone(text: Text, tmp_path: Path) -> None:
    with open_loader(text, pipeline=text.pipeline(cache=False)) as loader:
        expected = [epoch_of(loader) for _ in range(2)]
        assert feeder_stats(loader)["disk_hits"] == 0 and feeder_stats(loader)["made"] > 7
    cached = text.pipeline(cache=tmp_path / "cache")
    with open_loader(text, pipeline=cached) as loader:
        assert epoch_of(loader) == expected[0]
        assert feeder_stats(loader)["made"] == 7
        assert epoch_of(loader) == expected[1]
        stats = feeder_stats(loader)
        assert stats["made"] == 7 and stats["disk_hits"] + stats["memory_hits"] >= 7
    with open_loader(text, pipeline=cached) as loader:
        assert epoch_of(loader) == expected[0]
        assert feeder_stats(loader)["made"] == 0
        # What is mapped stays; all else is made again.
        for entry in (tmp_path / "cache/entries").rglob("*"):
            if entry.is_file():
                entry.unlink()
        assert epoch_of(loader) == expected[1]
    shutil.rmtree(tmp_path / "cache")
    with open_loader(text, pipeline=cached) as loader:
        assert [epoch_of(loader) for _ in range(2)] == expected
        assert feeder_stats(loader)["made"] == 7


def test_a_damaged_entry_is_made_again(text: Text, tmp_path: Path) -> None:
    cached = text.pipeline(cache=tmp_path / "cache")
    with open_loader(text, pipeline=cached) as loader:
        expected = epoch_of(loader)
    for entry in (tmp_path / "cache/entries").rglob("*"):
        if entry.is_file():
            content = bytearray(entry.read_bytes())
            content[len(content) // 2] ^= 1
            entry.write_bytes(content)
    with open_loader(text, pipeline=cached) as loader:
        assert epoch_of(loader) == expected
        assert feeder_stats(loader)["made"] == 7


def test_a_cache_that_is_too_small_changes_nothing(text: Text, tmp_path: Path) -> None:
    with open_loader(text, pipeline=text.pipeline(cache=False)) as loader:
        expected = [epoch_of(loader) for _ in range(2)]
    with open_loader(text, pipeline=text.pipeline(cache=tmp_path / "cache", cache_bytes=5000)) as loader:
        assert [epoch_of(loader) for _ in range(2)] == expected


def test_ranks_of_one_machine_make_each_task_once(text: Text, tmp_path: Path) -> None:
    pipeline = text.pipeline(cache=tmp_path / "cache")
    loaders = [open_loader(text, batch_size=2, pipeline=pipeline, rank=rank, world_size=4) for rank in range(4)]
    try:
        with ThreadPoolExecutor(4) as threads:
            epochs = list(threads.map(epoch_of, loaders))
        assert sum(feeder_stats(loader)["made"] for loader in loaders) == 7
    finally:
        for loader in loaders:
            loader.close()
    with open_loader(text, batch_size=8, pipeline=pipeline) as loader:
        assert [[row for part in parts for row in part] for parts in zip(*epochs, strict=True)] == epoch_of(loader)


def test_a_change_of_the_pipeline_or_its_input_is_not_served_from_the_cache(text: Text, tmp_path: Path) -> None:
    copy = Text(shutil.copytree(text.file.parent, tmp_path / "text") / "corpus.yaml", text.documents)
    with open_loader(copy) as loader:
        before = Counter(flat(epoch_of(loader)))
    first = copy.file.parent / "data/000.jsonl"
    first.write_text(first.read_text().replace("w1", "w2"))
    with open_loader(copy) as loader:
        assert Counter(flat(epoch_of(loader))) != before
        assert feeder_stats(loader)["made"] == 1
