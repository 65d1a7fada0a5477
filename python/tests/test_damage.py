"""Missing and damaged files, and options that do not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gristmill import BlockShuffle, Component, Difficulty, GristmillError, Loader, Mixture
from runs import Run, random_documents, write_run


@pytest.fixture
def copy(small_run: Run, tmp_path: Path) -> Path:
    path = tmp_path / "run"
    shutil.copytree(small_run.path, path)
    return path


def refusal(path: Path, **options: Any) -> GristmillError:
    with pytest.raises(GristmillError) as caught, Loader(path, **{"batch_size": 4, "as_numpy": True, **options}) as loader:
        for batch in loader:
            del batch
    return caught.value


@pytest.mark.parametrize("name", ["shards/00001.bin", "packs/32/pieces.npy", "packs/32/boundaries.npy"])
def test_a_damaged_block_is_found_when_it_is_touched(copy: Path, name: str) -> None:
    content = bytearray((copy / name).read_bytes())
    content[-3] ^= 1
    (copy / name).write_bytes(content)
    error = refusal(copy)
    assert error.code == "GM_SHARD_CHECKSUM"
    assert name in error.message
    assert "MiB block 0" in error.message


def test_only_the_damaged_block_is_lost(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [[7] * 1024] * 2048, 1024)
    path = run.path / "shards/00000.bin"
    content = bytearray(path.read_bytes())
    assert len(content) == 4 << 20
    content[(2 << 20) + 5] ^= 1
    path.write_bytes(content)
    good = 0
    with Loader(run.path, batch_size=512, shuffle=False, as_numpy=True) as loader:
        batches = iter(loader)
        for _ in range(2):
            good += next(batches).sequences
        for _ in range(2):  # asking again tries again, and says so again
            with pytest.raises(GristmillError, match="MiB block 2 "):
                next(batches)
        assert loader.state_dict()["samples"] == 1024
    assert good == 1024
    with Loader(run.path, batch_size=512, verify=False, as_numpy=True) as loader:
        assert sum(batch.sequences for batch in loader) == 2048


def test_a_damaged_index_of_documents_is_found(copy: Path) -> None:
    path = copy / "shards/00001.idx"
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    error = refusal(copy, buckets=(8, 64))
    assert error.code == "GM_SHARD_CHECKSUM"
    assert "shards/00001.idx" in error.message
    path.unlink()
    assert refusal(copy, buckets=(8, 64)).code == "GM_IO"


@pytest.mark.parametrize("name", ["shards/00001.bin", "packs/32/pieces.npy", "packs/32/boundaries.npy"])
def test_a_missing_file_is_named_at_once(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(GristmillError, match=name) as caught:
        Loader(copy, batch_size=4, as_numpy=True)
    assert caught.value.code == "GM_IO"


@pytest.mark.parametrize("name", ["shards/00001.bin", "packs/32/pieces.npy"])
def test_a_file_that_was_cut_short_is_named_at_once(copy: Path, name: str) -> None:
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[:-2])
    with pytest.raises(GristmillError, match=name) as caught:
        Loader(copy, batch_size=4, as_numpy=True)
    assert caught.value.code == "GM_FORMAT"


def test_a_missing_pack_says_which_there_are(copy: Path) -> None:
    assert refusal(copy, seq_len=2048).message.endswith(f"{copy}: there is no pack of 2048, it has packs of 32")
    manifest = copy / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"packs": [', '"packs": [], "other": ['))
    assert "no step `pack: { length: … }`" in refusal(copy).message


def test_a_run_of_rows_and_one_that_is_elsewhere_are_called_so(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text())
    for shard in manifest["shards"]:
        del shard["tokens"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    for options in ({}, {"buckets": (16, 32)}):
        assert "holds rows, not token ids" in refusal(copy, **options).message
    with pytest.raises(GristmillError, match="runs are read from local folders") as far:
        Loader("s3://bucket/run", batch_size=4)
    assert far.value.code == "GM_RUN_MISSING"


def test_no_run_is_no_run(tmp_path: Path, copy: Path) -> None:
    assert refusal(tmp_path / "nowhere").code == "GM_RUN_MISSING"
    (copy / "manifest.json").rename(copy / "manifest.txt")
    assert "it has no manifest.json" in refusal(copy).message
    (copy / "manifest.json").write_text("{")
    assert refusal(copy).code == "GM_FORMAT"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"dtype": "float32"}, "tokens can be int32, int64, not float32"),
        ({"dtype": {"loss_mask": "float64"}}, "not float64"),
        ({"dtype": {"mask": "int32"}}, "no field 'mask'"),
        ({"batch_size": None}, "batch_size"),
        ({"max_tokens": 64}, "batch_size"),
        ({"batch_size": None, "max_tokens": 31}, "holds no sequence of 32"),
        ({"buckets": []}, "buckets"),
        ({"buckets": [32, 16]}, "rising lengths"),
        ({"buckets": [8, 16], "seq_len": 32}, "seq_len"),
        ({"buckets": [8, 17], "mesh": {"cp": 2}}, "cannot be cut into 2"),
        ({"fields": ("token",)}, "there is no 'token'; there are tokens, labels, position_ids"),
        ({"fields": {"ids": "token"}}, "there is no 'token'"),
        ({"batch_size": -1}, "option 'batch_size': invalid value: integer `-1`, expected u32"),
        ({"batch_size": 4.0}, "option 'batch_size': invalid type: floating point `4.0`"),
        ({"batch_size": object()}, "is to be a number"),
        ({"batch_size": 16_000_000, "buffers": 10**9, "prefetch": 10**9}, "more memory than there is"),
        ({"seed": 1 << 64}, "option 'seed'"),
        ({"pad_id": -1}, "option 'pad_id'"),
        ({"mesh": {"dp": 1 << 40}}, "option 'mesh.dp'"),
        ({"rank": -1, "world_size": 2}, "option 'rank'"),
        ({"difficulty": Difficulty("score", limit=float("inf"))}, "option 'difficulty.limit': is no finite number"),
        ({"threads": 100_000}, "option 'threads': 100000 are more than 1024"),
        ({"accumulate": 1 << 20}, "option 'accumulate'"),
        ({"rank": 0, "world_size": (1 << 32) - 1, "accumulate": 1 << 16}, "option 'world_size'"),
        ({"shuffle": "full"}, "option 'shuffle'"),
        ({"shuffle": BlockShuffle(0, 4)}, "option 'shuffle'"),
        ({"rank": 2, "world_size": 2}, "outside a world of 2"),
        ({"rank": 0}, "world_size"),
        ({"world_size": 2}, "rank"),
        ({"rank": 0, "world_size": 3, "mesh": {"dp": 2}}, "multiply to 2"),
        ({"mesh": {"cp": 3}}, "cannot be cut into 3"),
        ({"buffers": 0}, "buffers"),
        ({"pad_id": 10_000_000}, "outside the vocabulary"),
    ],
)
def test_options_that_do_not_fit(small_run: Run, options: dict[str, Any], message: str) -> None:
    error = refusal(small_run.path, **options)
    assert error.code == "GM_CONFIG"
    assert message in error.message


def test_numbers_of_numpy_are_numbers(small_run: Run) -> None:
    options: Any = {"batch_size": np.int64(4), "seed": np.uint8(7), "buckets": np.array([16, 40])}
    mixture = Mixture([Component(small_run.path, weight=np.float32(2))], tokens=np.int64(640))  # type: ignore[arg-type]
    with Loader(mixture, as_numpy=True, **options) as loader:
        assert {batch["tokens"].shape for batch in loader} <= {(4, 16), (4, 40)}


def test_a_field_may_stand_alone(small_run: Run) -> None:
    with Loader(small_run.path, batch_size=4, fields="tokens", as_numpy=True) as loader:  # type: ignore[arg-type]
        assert list(next(iter(loader))) == ["tokens"]
    with Loader(small_run.path, batch_size=4, fields=iter(("tokens", "labels")), as_numpy=True) as loader:  # type: ignore[arg-type]
        assert list(next(iter(loader))) == ["tokens", "labels"]


def test_no_error_of_the_callers_is_called_a_bug_of_ours(small_run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for code in ("GM_COLUMN_MISSING", "GM_COLUMN_TYPE", "GM_DISK_FULL", "GM_CONFIG", "GM_IO", "GM_FORMAT"):
        assert "bug of ours" not in GristmillError(code, "").hint
    assert "bug of ours" in GristmillError("GM_INTERNAL", "").hint
    monkeypatch.setenv("RANK", "first")
    assert "environment variable RANK: 'first'" in refusal(small_run.path).message


def test_an_index_that_points_outside_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", random_documents(20, 40), 32)
    manifest = run.path / "manifest.json"
    # The manifest says fewer sequences than the index has: the file is not what was listed.
    text = manifest.read_text()
    count = len(run.sequences)
    manifest.write_text(text.replace(f'"sequences": {count}', f'"sequences": {count - 1}'))
    assert refusal(run.path).code == "GM_FORMAT"
