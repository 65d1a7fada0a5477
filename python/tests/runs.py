"""Writes a run directory with numpy and pyarrow, by docs/formats.md, so that the tests need nothing of the writer's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

BLOCK = 1 << 20
PIECE = np.dtype([("token_offset", "<u8"), ("shard", "<u4"), ("length", "<u4")])

#: A documents table with columns of every kind.
DOCUMENT_ROW = pa.schema(
    {
        "id": pa.string(),
        "position": pa.uint64(),
        "token_count": pa.uint32(),
        "score": pa.float64(),
        "lang": pa.string(),
        "good": pa.bool_(),
        "marks": pa.list_(pa.int64()),
    }
)

Document = list[int]
#: (document, first token, tokens)
Piece = tuple[int, int, int]


@dataclass(frozen=True)
class Run:
    """A run and what is in it."""

    path: Path
    length: int
    #: The documents' ids in each sequence.
    sequences: list[list[Document]]
    #: All documents, in their order.
    documents: list[Document]
    #: What docs.parquet says of each, when it is there.
    rows: list[dict[str, Any]]
    #: The document of each piece of each sequence, and the piece's ids.
    pieces: list[list[tuple[int, int]]]


def entry(root: Path, name: str) -> dict[str, Any]:
    """A file as the manifest lists it."""
    content = (root / name).read_bytes()
    hashes = [xxhash.xxh3_64_intdigest(content[at : at + BLOCK]) for at in range(0, len(content), BLOCK)]
    checksum = xxhash.xxh3_64_hexdigest(np.array(hashes, "<u8").tobytes())
    return {
        "name": name,
        "bytes": len(content),
        "checksum": checksum,
        "blocks": "".join(f"{one:016x}" for one in hashes),
    }


def pack(documents: list[Document], length: int) -> list[list[Piece]]:
    """Documents one after the other, each in the sequence before when it fits; long ones are cut."""
    sequences: list[list[Piece]] = []
    room = 0
    for number, document in enumerate(documents):
        for start in range(0, len(document), length):
            piece = (number, start, min(length, len(document) - start))
            if piece[2] > room:
                sequences.append([])
                room = length
            sequences[-1].append(piece)
            room -= piece[2]
    return sequences


def megatron_index(lengths: list[int], width: int) -> bytes:
    """The ``.idx`` of a shard, by docs/formats.md."""
    count = len(lengths)
    starts = np.cumsum([0, *lengths], dtype="<i8")[:-1] * width
    header = b"MMIDIDX\0\0" + np.uint64(1).tobytes() + bytes([8 if width == 2 else 4])
    header += np.array([count, count + 1], "<u8").tobytes()
    return b"".join([header, np.array(lengths, "<i4").tobytes(), starts.tobytes(), np.arange(count + 1).tobytes()])


def write_run(
    root: Path,
    documents: list[Document],
    length: int,
    *,
    wide: bool = False,
    shards: int = 1,
    vocabulary: int = 60_000,
    columns: dict[str, list[Any]] | None = None,
    rows: list[dict[str, Any]] | None = None,
) -> Run:
    """A run of the documents in ``shards`` shards, packed to ``length``; ``columns`` or ``rows`` are kept of the documents."""
    packed = pack(documents, length)
    (root / "shards").mkdir(parents=True)
    (root / f"packs/{length}").mkdir(parents=True)
    starts: list[tuple[int, int]] = []
    listed = []
    for shard, part in enumerate(np.array_split(np.arange(len(documents)), shards)):
        own = [documents[number] for number in part]
        offset = 0
        for document in own:
            starts.append((shard, offset))
            offset += len(document)
        name = f"shards/{shard:05}.bin"
        flat = np.array([token for document in own for token in document], "<i4" if wide else "<u2")
        (root / name).write_bytes(flat.tobytes())
        index = f"shards/{shard:05}.idx"
        (root / index).write_bytes(megatron_index([len(document) for document in own], 4 if wide else 2))
        table = f"shards/{shard:05}.docs.parquet"
        if rows is not None:
            kept = pa.Table.from_pylist([rows[number] for number in part], DOCUMENT_ROW)
        else:
            values = {column: [whole[number] for number in part] for column, whole in (columns or {}).items()}
            kept = pa.table({"token_count": pa.array([len(document) for document in own], pa.uint32()), **values})
        # Small row groups, so that readers meet more than one.
        pq.write_table(kept, root / table, row_group_size=50)
        files = [entry(root, name), entry(root, index), entry(root, table)]
        listed.append({"name": f"{shard:05}", "rows": len(own), "tokens": offset, "files": files})
    pieces = np.array(
        [(starts[d][1] + start, starts[d][0], count) for own in packed for d, start, count in own], dtype=PIECE
    )
    names = [f"packs/{length}/{name}.npy" for name in ("pieces", "documents", "boundaries")]
    np.save(root / names[0], pieces)
    first_of = [int(part[0]) if len(part) else 0 for part in np.array_split(np.arange(len(documents)), shards)]
    places = [d - first_of[starts[d][0]] for own in packed for d, _, _ in own]
    np.save(root / names[1], np.array(places, "<u4"))
    np.save(root / names[2], np.cumsum([0, *(len(own) for own in packed)], dtype="<u8")[:-1])
    manifest = {
        "schemaVersion": 1,
        "tokenizer": {"path": "tokenizer.json", "checksum": "", "vocabularySize": vocabulary},
        "shards": listed,
        "packs": [
            {
                "length": length,
                "strategy": "best-fit",
                "sequences": len(packed),
                "pieces": len(pieces),
                "tokens": int(pieces["length"].sum()),
                "files": [entry(root, name) for name in names],
            }
        ],
    }
    (root / "manifest.json").write_text(json.dumps(manifest))
    sequences = [[documents[d][start : start + count] for d, start, count in own] for own in packed]
    in_pieces = [[(d, count) for d, _, count in own] for own in packed]
    return Run(root, length, sequences, documents, rows or [], in_pieces)


def random_rows(documents: list[Document], seed: int = 0) -> list[dict[str, Any]]:
    """A row for each document; some have no ``lang``."""
    random = np.random.default_rng(seed)
    return [
        {
            "id": f"dök-{number}",
            "position": number * 1_000_003,
            "token_count": len(document),
            "score": float(np.float32(random.random())),
            "lang": None if number % 3 == 2 else ["en", "日本語", ""][number % 5 % 3],
            "good": bool(random.integers(2)),
            "marks": random.integers(-(2**40), 2**40, 1 + number % 3).tolist(),
        }
        for number, document in enumerate(documents)
    ]


def random_documents(count: int, longest: int, seed: int = 0, vocabulary: int = 60_000) -> list[Document]:
    """Documents of 1 to ``longest`` ids."""
    random = np.random.default_rng(seed)
    return [random.integers(0, vocabulary, random.integers(1, longest + 1)).tolist() for _ in range(count)]
