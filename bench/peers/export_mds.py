"""Writes packed sequences as MDS: MosaicML Streaming's own writer, and `gristmill export`.

Usage: export_mds.py writer RUN OUT
       export_mds.py gristmill RUN OUT WORKERS

Prints one JSON object: bytes of the shards, tokens (a sum over all ids as a check that both wrote the same) and seconds.
Both write `tokens` and `cu_seqlens` as 32-bit arrays into shards of 64 MiB. The writer is timed from its first sample to
the end of `finish`, with the samples ready in memory; ours from the start of the command's work to its end, with reading
the run, holding it against its checksums, and hashing what it writes. Importing Python packages and starting Node is
in neither. What was written is read back with Streaming's reader after the time is taken.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

LENGTH = 2048
COLUMNS = {"tokens": "ndarray:int32", "cu_seqlens": "ndarray:int32"}


def write(run: Path, out: Path) -> float:
    """Streaming's writer, over samples in memory."""
    from streaming import MDSWriter

    ends = np.array([0, LENGTH], np.int32)
    shards = [np.fromfile(path, "<i4").reshape(-1, LENGTH) for path in sorted((run / "shards").glob("*.bin"))]
    started = time.perf_counter()
    with MDSWriter(columns=COLUMNS, out=str(out)) as writer:
        for shard in shards:
            for tokens in shard:
                writer.write({"tokens": tokens, "cu_seqlens": ends})
    return time.perf_counter() - started


def export(run: Path, out: Path, workers: str) -> float:
    """The command; it says how long it worked."""
    command = ["node", "bin/gristmill.js", "export", str(run), "--to", "mds", "--out", str(out), "--workers", workers]
    told = subprocess.run([*command, "--json"], stdout=subprocess.PIPE, text=True, check=True).stdout
    seconds: float = json.loads(told)["seconds"]
    return seconds


def check(out: Path) -> tuple[int, int]:
    """Bytes of the shards, and the sum of the ids in them."""
    from streaming.base.format import reader_from_json

    size, total = 0, 0
    for entry in json.loads((out / "index.json").read_text())["shards"]:
        size += entry["raw_data"]["bytes"]
        shard: Any = reader_from_json(str(out), "", entry)
        for number in range(entry["samples"]):
            sample = shard[number]
            if sample["tokens"].shape != (LENGTH,) or sample["cu_seqlens"].tolist() != [0, LENGTH]:
                raise SystemExit(f"sample {number} of {entry['raw_data']['basename']} is not what was to be written")
            total += int(sample["tokens"].sum(dtype=np.int64))
    return size, total


def main() -> None:
    """Measures one side."""
    side, run, out, *rest = sys.argv[1:]
    seconds = write(Path(run), Path(out)) if side == "writer" else export(Path(run), Path(out), *rest)
    size, total = check(Path(out))
    print(json.dumps({"bytes": size, "tokens": total, "seconds": seconds}))


if __name__ == "__main__":
    main()
