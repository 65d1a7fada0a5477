"""Reads shuffled sequences into one Python process: our loader, its peers, and a bare gather of the same bytes.

Usage: feed.py make|sparse|documents FOLDER SEQUENCES
       feed.py loader|gather|loader-all|gather-all FOLDER SEED
       feed.py torch-WORKERS|streaming-WORKERS FOLDER SEED
       feed.py packed|mixed|buckets FOLDER SEED
       feed.py paced|paced-gather|paced-sleep|open|resume FOLDER SEED

``make`` writes a run of sequences of 2,048 ids of 32 bits, in the layout of docs/formats.md; ``sparse`` one whose ids are holes in files of 256 MiB, so that it may be larger than the disk; ``documents`` one
whose sequences are packed from documents of 32 to 2,048 ids, as many short as long ones. The sides read each sequence
once in batches of 64 and print one JSON object: bytes, tokens, seconds, and a sum over all ids as a check that they read
the same.

``loader`` and ``gather`` make int32 tokens; ``-all`` int64 tokens, labels and positions. The gather is ``numpy.take`` of
whole rows in a random order into memory that is used again, on one thread: it knows nothing of documents, checksums or
what a trainer may still hold. ``torch`` is a DataLoader over a map-style dataset that copies one row of the mapped file;
``streaming`` is MosaicML Streaming's dataset of the same sequences as MDS, in a DataLoader as its documents have it. ``packed`` reads
the run of documents plainly, ``mixed`` as two parts in equal shares, ``buckets`` its documents by length in two parts, in
batches of as many positions. ``paced`` takes 100 MB/s and says what share of a core that took; ``paced-gather`` does so from
the bare gather, and ``paced-sleep`` the same loop over one batch that is there already. ``open`` and ``resume``
print the seconds to a first batch. Each side reads the run once before it is timed, so that the file is in the page cache
and our checksums are verified.
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
PACE = 100e6
"""Bytes a second."""
PACED_SECONDS = 10.0
MOST_SECONDS = 20.0
"""Slow sides are not read five times over."""


PIECE = np.dtype([("token_offset", "<u8"), ("shard", "<u4"), ("length", "<u4")])


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
    pieces = np.zeros(sequences, PIECE)
    places = np.arange(sequences, dtype="<u8")
    pieces["token_offset"] = places % in_shard * LENGTH
    pieces["shard"] = places // in_shard
    pieces["length"] = LENGTH
    publish(root, shards, pieces, places % in_shard, places)


def publish(root: Path, shards: list[dict[str, Any]], pieces: Any, documents: Any, boundaries: Any) -> None:
    """Writes the packing and, last, the manifest."""
    names = [f"packs/{LENGTH}/{name}.npy" for name in ("pieces", "documents", "boundaries")]
    np.save(root / names[0], pieces)
    np.save(root / names[1], documents.astype("<u4"))
    np.save(root / names[2], boundaries.astype("<u8"))
    pack = {
        "length": LENGTH,
        "sequences": len(boundaries),
        "pieces": len(pieces),
        "tokens": int(pieces["length"].sum(dtype=np.int64)),
    }
    manifest = {
        "schemaVersion": 1,
        "tokenizer": {"vocabularySize": VOCABULARY},
        "shards": shards,
        "packs": [{**pack, "files": [entry(root, name) for name in names]}],
    }
    (root / "manifest.json").write_text(json.dumps(manifest))


def write_mds(root: Path) -> Path:
    """The same sequences as the peer's own format has them; its index is written last."""
    folder = root / "mds"
    if not (folder / "index.json").exists():
        from streaming import MDSWriter

        columns = {"tokens": f"ndarray:int32:{LENGTH}"}
        with MDSWriter(out=str(folder), columns=columns, size_limit=64 << 20, exist_ok=True) as writer:
            for row in mapped_rows(root):
                writer.write({"tokens": np.array(row)})
    return folder


def make_documents(root: Path, sequences: int) -> None:
    """A run whose sequences are packed from documents, one after the other; those that do not fit begin the next."""
    (root / "shards").mkdir(parents=True)
    (root / f"packs/{LENGTH}").mkdir(parents=True)
    random = np.random.default_rng(0)
    lengths: list[int] = []
    boundaries: list[int] = []
    room = 0
    while True:
        length = int(2 ** random.uniform(5, 11))
        if length > room:
            if len(boundaries) == sequences:
                break
            boundaries.append(len(lengths))
            room = LENGTH
        lengths.append(length)
        room -= length
    sizes = np.array(lengths, np.int64)
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    name = "shards/00000"
    (root / f"{name}.bin").write_bytes(random.integers(0, VOCABULARY, sizes.sum(), dtype="<i4").tobytes())
    count = len(sizes)
    header = b"MMIDIDX\0\0" + np.uint64(1).tobytes() + b"\x04" + np.array([count, count + 1], "<u8").tobytes()
    arrays = [sizes.astype("<i4"), (starts * 4).astype("<i8"), np.arange(count + 1, dtype="<i8")]
    (root / f"{name}.idx").write_bytes(header + b"".join(array.tobytes() for array in arrays))
    pieces = np.zeros(count, PIECE)
    pieces["token_offset"], pieces["length"] = starts, sizes
    files = [entry(root, f"{name}.bin"), entry(root, f"{name}.idx")]
    shards = [{"name": "00000", "rows": count, "tokens": int(sizes.sum()), "files": files}]
    publish(root, shards, pieces, np.arange(count), np.array(boundaries))


def open_loader(root: Path, seed: int, **options: Any) -> Any:
    """Our loader, as a trainer opens it."""
    from gristmill import Loader

    return Loader(root, **{"batch_size": BATCH, "seq_len": LENGTH, "seed": seed, "as_numpy": False, **options})


def batches_of_loader(root: Path, seed: int, everything: bool) -> Iterator[Iterator[list[Any]]]:
    """Epochs of batches, each a list of arrays."""
    fields = ("tokens", "labels", "position_ids") if everything else ("tokens",)
    with open_loader(root, seed, fields=fields, dtype="int64" if everything else "int32") as loader:
        while True:
            yield (list(batch.values()) for batch in loader)


def batches_of_documents(root: Path, seed: int, side: str) -> Iterator[Iterator[list[Any]]]:
    """Documents packed, mixed, or by length."""
    from gristmill import Component, Mixture

    mixture = Mixture([Component(root, 1), Component(root, 1)])
    by_length = {"batch_size": None, "seq_len": None, "max_tokens": BATCH * LENGTH, "buckets": (128, 512, 2048)}
    options = by_length if side == "buckets" else {}
    runs = root if side == "packed" else mixture
    with open_loader(runs, seed, fields=("tokens",), **options) as loader:
        while True:
            yield (list(batch.values()) for batch in loader)


def mapped_rows(root: Path) -> Any:
    """The ids as a matrix."""
    shards = sorted((root / "shards").glob("*.bin"))
    if len(shards) != 1:
        raise SystemExit("this side reads runs of one shard")
    return np.memmap(shards[0], "<i4", "r").reshape(-1, LENGTH)


def batches_of_torch(root: Path, seed: int, workers: int) -> Iterator[Iterator[list[Any]]]:
    """PyTorch's own loader."""
    import torch
    from torch.utils.data import DataLoader, Dataset

    rows = mapped_rows(root)

    class Rows(Dataset[Any]):
        """A row for each number."""

        def __len__(self) -> int:
            return len(rows)

        def __getitem__(self, number: int) -> Any:
            return torch.from_numpy(np.array(rows[number]))

    random = torch.Generator().manual_seed(seed)
    loader = DataLoader(
        Rows(), BATCH, shuffle=True, generator=random, num_workers=workers, persistent_workers=workers > 0
    )
    while True:
        yield ([batch] for batch in loader)


def batches_of_streaming(root: Path, seed: int, workers: int) -> Iterator[Iterator[list[Any]]]:
    """MosaicML Streaming."""
    from streaming import StreamingDataset
    from torch.utils.data import DataLoader

    dataset = StreamingDataset(local=str(write_mds(root)), shuffle=True, shuffle_seed=seed, batch_size=BATCH)
    loader = DataLoader(dataset, BATCH, num_workers=workers, persistent_workers=workers > 0)
    while True:
        yield ([batch["tokens"]] for batch in loader)


def batches_of_gather(root: Path, seed: int, everything: bool) -> Iterator[Iterator[list[Any]]]:
    """The same with numpy alone."""
    rows = mapped_rows(root)
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


def check_sum(array: Any) -> int:
    """The sum of a batch's ids, array or tensor."""
    return int(np.asarray(array).sum(dtype=np.int64))


def measure(epochs: Iterator[Iterator[list[Any]]], rounds: int = 5) -> dict[str, Any]:
    """The first epoch is read through and summed; the fastest of the others is the answer."""
    check = sum(check_sum(batch[0]) for batch in next(epochs))
    best, cpu, size = float("inf"), float("inf"), 0
    began = time.perf_counter()
    for _ in range(rounds):
        size = 0
        started, worked = time.perf_counter(), time.process_time()
        for batch in next(epochs):
            size += sum(array.nbytes for array in batch)
        best = min(best, time.perf_counter() - started)
        cpu = min(cpu, time.process_time() - worked)
        if time.perf_counter() - began > MOST_SECONDS:
            break
    return {"bytes": size, "tokens": check, "seconds": best, "cpu_seconds": cpu}


def batches_of_nobody() -> Iterator[Iterator[list[Any]]]:
    """The same batch again and again, which takes nobody any work."""
    tokens = np.zeros((BATCH, LENGTH), np.int32)
    while True:
        yield iter([[tokens]])


def paced(epochs: Iterator[Iterator[list[Any]]]) -> dict[str, Any]:
    """The share of a core that the process needs at a trainer's pace, its own sleeping included."""
    for batch in next(epochs):
        check_sum(batch[0])
    stream = (batch for epoch in epochs for batch in epoch)
    size = 0
    started, worked = time.perf_counter(), time.process_time()
    while size < PACE * PACED_SECONDS:
        size += sum(array.nbytes for array in next(stream))
        ahead = started + size / PACE - time.perf_counter()
        if ahead > 0:
            time.sleep(ahead)
    seconds = time.perf_counter() - started
    return {"bytes": size, "tokens": 0, "seconds": seconds, "cpu_seconds": time.process_time() - worked}


def opening(root: Path, seed: int, resume: bool) -> dict[str, Any]:
    """Seconds from the call to the first batch, at the start or in the midst of an epoch."""
    import resource

    import gristmill  # noqa: F401
    import torch  # noqa: F401

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
    if side == "documents":
        make_documents(root, int(number))
        return
    seed = int(number)
    name, _, rest = side.partition("-")
    if name in ("open", "resume"):
        result = opening(root, seed, name == "resume")
    elif name == "paced":
        sources = {"": batches_of_loader, "gather": batches_of_gather}
        result = paced(batches_of_nobody() if rest == "sleep" else sources[rest](root, seed, False))
    elif name in ("torch", "streaming"):
        batches = {"torch": batches_of_torch, "streaming": batches_of_streaming}[name]
        result = measure(batches(root, seed, int(rest)))
    elif name in ("packed", "mixed", "buckets"):
        result = measure(batches_of_documents(root, seed, name))
    else:
        batches = {"loader": batches_of_loader, "gather": batches_of_gather}[name]
        result = measure(batches(root, seed, rest == "all"))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
