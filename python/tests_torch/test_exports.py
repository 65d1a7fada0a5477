"""MDS and LitData exports, read by the packages whose formats they are."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import litdata
import pytest
import streaming
from runs import Run, random_documents, random_rows, write_run

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session", params=[False, True], ids=["narrow", "wide"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Documents with columns; some have no token, one has more than lists of one byte's length."""
    vocabulary = 200_000 if request.param else 60_000
    documents = [*random_documents(60, 40, 0, vocabulary), [], *random_documents(1, 900, 0, vocabulary), []]
    path = tmp_path_factory.mktemp("runs") / "run"
    rows = random_rows(documents)
    return write_run(path, documents, 64, wide=request.param, shards=2, vocabulary=vocabulary, rows=rows)


def export(run: Run, out: Path, to: str, *flags: str) -> Path:
    """An export by the command, in shards of some samples."""
    command = ["node", "bin/gristmill.js", "export", str(run.path), "--to", to, "--out", str(out), "--shard-size", "2KiB"]
    subprocess.run([*command, "--quiet", *flags], cwd=ROOT, check=True)
    return out


def sequences(run: Run, pad: int | None = None) -> list[dict[str, Any]]:
    """What the samples of a run's packs are."""
    samples = []
    for pieces in run.sequences:
        tokens = [token for piece in pieces for token in piece]
        ends = [sum(map(len, pieces[:count])) for count in range(len(pieces) + 1)]
        padding = [] if pad is None else [pad] * (run.length - len(tokens))
        samples.append({"tokens": tokens + padding, "cu_seqlens": ends})
    return samples


def documents(run: Run) -> list[dict[str, Any]]:
    """What the samples of a run's documents are."""
    return [{"tokens": tokens, **row} for tokens, row in zip(run.documents, run.rows, strict=True)]


def plain(sample: dict[str, Any]) -> dict[str, Any]:
    return {name: value.tolist() if hasattr(value, "tolist") else value for name, value in sample.items()}


@pytest.mark.parametrize("zstd", [False, True])
@pytest.mark.parametrize(("whole", "pad"), [(False, None), (False, 7), (True, None)])
def test_streaming_reads_mds(run: Run, tmp_path: Path, whole: bool, pad: int | None, zstd: bool) -> None:
    flags = ["--documents"] if whole else [] if pad is None else ["--pad-id", str(pad)]
    flags += ["--compression", "zstd"] if zstd else []
    out = export(run, tmp_path / "mds", "mds", *flags)
    data = streaming.StreamingDataset(local=str(out), shuffle=False, batch_size=1, validate_hash="xxh3_64")
    assert len(data.shards) > 1
    assert [plain(data[at]) for at in range(len(data))] == (documents(run) if whole else sequences(run, pad))


@pytest.mark.parametrize("zstd", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_litdata_reads_chunks(run: Run, tmp_path: Path, whole: bool, zstd: bool) -> None:
    flags = [*(["--documents"] if whole else []), *(["--compression", "zstd"] if zstd else [])]
    out = export(run, tmp_path / "litdata", "litdata", *flags)
    data = litdata.StreamingDataset(str(out), shuffle=False)
    assert [plain(sample) for sample in data] == (documents(run) if whole else sequences(run))
