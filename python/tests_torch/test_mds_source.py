"""The `mds` source on shards that MDSWriter of mosaicml-streaming wrote, which cannot be imported without PyTorch."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from streaming import MDSWriter

GRISTMILL = Path(__file__).parents[2] / "bin/gristmill.js"

COLUMNS = {
    "text": "str", "raw": "bytes", "meta": "json", "whole": "int", "digits": "str_int", "tiny": "uint8",
    "half": "float16", "double": "float64", "ids": "ndarray:uint16", "grid": "ndarray:int32:2,3",
}  # fmt: skip


def sample(rng: random.Random) -> dict[str, Any]:
    return {
        "text": "".join(rng.choices("abc ä日🙂", k=rng.randrange(1, 50))),
        "raw": rng.randbytes(rng.randrange(30)),
        "meta": {"a": [rng.random(), None]},
        "whole": rng.randrange(-(2**63), 2**63),
        "digits": rng.randrange(-(2**63), 2**63),
        "tiny": rng.randrange(256),
        "half": rng.randrange(-100, 100) / 4,
        "double": rng.random(),
        "ids": np.array([rng.randrange(2**16) for _ in range(rng.randrange(1, 300))], "uint16"),
        "grid": np.array([rng.randrange(-9, 9) for _ in range(6)], "int32").reshape(2, 3),
    }


def run(folder: Path, source: dict[str, Any], sink: str, steps: list[Any] | None = None) -> Path:
    """A run over `source`; its run directory."""
    pipeline = folder / "pipeline.json"
    pipeline.write_text(json.dumps({"source": source, "steps": steps or [], "sink": sink}))
    subprocess.run(["node", str(GRISTMILL), "run", str(pipeline), "--out", str(folder / "out")], check=True)
    return folder / "out"


@pytest.mark.parametrize("compression", [None, "gz", "zstd:7"])
def test_rows_of_mds_writer(tmp_path: Path, compression: str | None) -> None:
    rng = random.Random(7)
    samples = [sample(rng) for _ in range(300)]
    out = str(tmp_path / "data")
    with MDSWriter(columns=COLUMNS, out=out, compression=compression, hashes=["sha1"], size_limit=1 << 14) as writer:
        for one in samples:
            writer.write(one)
    assert len(list((tmp_path / "data").glob("shard.*"))) > 3
    directory = run(tmp_path, {"paths": ["data/index.json"]}, "parquet")
    table = pq.ParquetDataset(sorted((directory / "shards").iterdir())).read()
    for row, one in zip(table.to_pylist(), samples, strict=True):
        assert json.loads(row["meta"]) == one["meta"]
        assert row["ids"] == one["ids"].tolist()
        assert np.array_equal(np.reshape(row["grid"], row["grid.shape"]), one["grid"])
        for name in COLUMNS.keys() - {"meta", "ids", "grid"}:
            assert row[name] == one[name], name


def test_tokens_are_packed(tmp_path: Path) -> None:
    rng = random.Random(8)
    documents = [np.array(rng.choices(range(50_000), k=rng.randrange(1, 200)), "uint16") for _ in range(100)]
    with MDSWriter(columns={"tokens": "ndarray:uint16"}, out=str(tmp_path / "data")) as writer:
        for tokens in documents:
            writer.write({"tokens": tokens})
    out = run(tmp_path, {"paths": ["data/index.json"]}, "megatron", [{"pack": {"length": 128}}])
    written = b"".join(path.read_bytes() for path in sorted((out / "shards").glob("*.bin")))
    assert np.array_equal(np.frombuffer(written, "<i4"), np.concatenate(documents))
