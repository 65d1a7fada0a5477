"""Reads shuffled sequences into one Python process: our loader, and a bare gather of the same bytes.

Usage: feed.py make|sparse FOLDER SEQUENCES
       feed.py loader|gather|loader-all|gather-all FOLDER SEED
       feed.py open|resume FOLDER SEED

``make`` writes a run of sequences of 2,048 ids of 32 bits, in the layout of docs/formats.md; ``sparse`` one whose ids are
holes in files of 256 MiB, so that it may be larger than the disk. The sides read each
sequence once in batches of 64 and print one JSON object: bytes, tokens, seconds, and a sum over all ids as a check that
they read the same. ``loader`` and ``gather`` make int32 tokens; ``-all`` int64 tokens, labels and positions. The gather is
``numpy.take`` of whole rows in a random order into memory that is used again, on one thread: it knows nothing of
documents, checksums or what a trainer may still hold. ``open`` and ``resume`` print the seconds to a first batch. Each
side reads the run once before it is timed, so that the file is in the page cache and our checksums are verified.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

LENGTH = 2048
BATCH = 64
BLOCK = 1 << 20
SHARD_BYTES = 256 << 20
VOCABULARY = 100_000


def entry(root: Path, name: str) -> dict[str, Any]:
    """A file as the manifest lists it."""
    import xxhash

    size = (root / name).stat().st_size
    hole = (root / name).stat().st_blocks == 0
    zeros = xxhash.xxh3_64_intdigest(bytes(BLOCK))
    content = np.memmap(root / name, np.uint8, "r")
    hashes = [
        zeros if hole and at + BLOCK <= size else xxhash.xxh3_64_intdigest(content[at : at + BLOCK])
        for at in range(0, size, BLOCK)
    ]
    checksum = xxhash.xxh3_64_hexdigest(np.array(hashes, "<u8").tobytes())
    blocks = "".join(f"{one:016x}" for one in hashes)
    return {"name": name, "bytes": size, "checksum": checksum, "blocks": blocks}


def make(root: Path, sequences: int, sparse: bool) -> None:
    """A run in which each sequence is one document."""
    (root / "shards").mkdir(parents=True)
    (root / f"packs/{LENGTH}").mkdir(parents=True)
    random = np.random.default_rng(0)
    in_shard = SHARD_BYTES // (4 * LENGTH)
    shards = []
    for number, at in enumerate(range(0, sequences, in_shard)):
        rows = min(in_shard, sequences - at)
        name = f"shards/{number:05}.bin"
        with open(root / name, "wb") as file:
            if sparse:
                file.truncate(rows * LENGTH * 4)
            else:
                file.write(random.integers(0, VOCABULARY, rows * LENGTH, dtype="<i4").tobytes())
        shards.append(
            {"name": f"{number:05}", "rows": rows, "tokens": rows * LENGTH, "files": [entry(root, name)]}
        )
    pieces = np.zeros(sequences, np.dtype([("token_offset", "<u8"), ("shard", "<u4"), ("length", "<u4")]))
    places = np.arange(sequences, dtype="<u8")
    pieces["token_offset"] = places % in_shard * LENGTH
    pieces["shard"] = places // in_shard
    pieces["length"] = LENGTH
    names = [f"packs/{LENGTH}/{name}.npy" for name in ("pieces", "documents", "boundaries")]
    np.save(root / names[0], pieces)
    np.save(root / names[1], places.astype("<u4"))
    np.save(root / names[2], places)
    pack = {"length": LENGTH, "sequences": sequences, "pieces": sequences, "tokens": sequences * LENGTH}
    manifest = {
        "schemaVersion": 1,
        "tokenizer": {"vocabularySize": VOCABULARY},
        "shards": shards,
        "packs": [{**pack, "files": [entry(root, name) for name in names]}],
    }
    (root / "manifest.json").write_text(json.dumps(manifest))


def open_loader(root: Path, seed: int, **options: Any) -> Any:
    """Our loader, as a trainer opens it."""
    from gristmill import Loader

    return Loader(root, batch_size=BATCH, seq_len=LENGTH, seed=seed, as_numpy=True, **options)


def batches_of_loader(root: Path, seed: int, everything: bool) -> Iterator[Iterator[list[Any]]]:
    """Epochs of batches, each a list of arrays."""
    fields = ("tokens", "labels", "position_ids") if everything else ("tokens",)
    with open_loader(root, seed, fields=fields, dtype="int64" if everything else "int32") as loader:
        while True:
            yield (list(batch.values()) for batch in loader)


def batches_of_gather(root: Path, seed: int, everything: bool) -> Iterator[Iterator[list[Any]]]:
    """The same with numpy alone."""
    shards = sorted((root / "shards").glob("*.bin"))
    if len(shards) != 1:
        raise SystemExit("the gather reads runs of one shard")
    rows = np.memmap(shards[0], "<i4", "r").reshape(-1, LENGTH)
    random = np.random.default_rng(seed)
    tokens = np.empty((BATCH, LENGTH), np.int32)
    wide = [np.empty((BATCH, LENGTH), np.int64) for _ in range(3)]
    places = np.arange(LENGTH)

    def epoch() -> Iterator[list[Any]]:
        order = random.permutation(len(rows))
        for at in range(0, len(rows), BATCH):
            np.take(rows, order[at : at + BATCH], axis=0, out=tokens, mode="clip")
            if everything:
                wide[0][:] = tokens
                wide[1][:, :-1] = tokens[:, 1:]
                wide[1][:, -1] = -100
                wide[2][:] = places
            yield wide if everything else [tokens]

    while True:
        yield epoch()


def measure(epochs: Iterator[Iterator[list[Any]]], rounds: int = 5) -> dict[str, Any]:
    """The first epoch is read through and summed; the fastest of the others is the answer."""
    check = sum(int(batch[0].sum(dtype=np.int64)) for batch in next(epochs))
    best, cpu, size = float("inf"), float("inf"), 0
    for _ in range(rounds):
        size = 0
        started, worked = time.perf_counter(), time.process_time()
        for batch in next(epochs):
            size += sum(array.nbytes for array in batch)
        best = min(best, time.perf_counter() - started)
        cpu = min(cpu, time.process_time() - worked)
    return {"bytes": size, "tokens": check, "seconds": best, "cpu_seconds": cpu}


def opening(root: Path, seed: int, resume: bool) -> dict[str, Any]:
    """Seconds from the call to the first batch, at the start or in the midst of an epoch."""
    import resource

    import gristmill  # noqa: F401

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    loader = open_loader(root, seed)
    if resume:
        state = loader.state_dict()
        state["samples"] = loader.epoch_samples // 2 // BATCH * BATCH
        started = time.perf_counter()
        loader.load_state_dict(state)
    batch = next(iter(loader))
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"bytes": batch["tokens"].nbytes, "tokens": 0, "seconds": seconds, "rss": peak * 1024, "before": before * 1024}


def main() -> None:
    """Measures one side."""
    side, folder, number = sys.argv[1:]
    root = Path(folder)
    if side in ("make", "sparse"):
        make(root, int(number), side == "sparse")
        return
    if side in ("open", "resume"):
        result = opening(root, int(number), side == "resume")
    else:
        name, _, everything = side.partition("-")
        batches = {"loader": batches_of_loader, "gather": batches_of_gather}[name]
        result = measure(batches(root, int(number), everything == "all"))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
