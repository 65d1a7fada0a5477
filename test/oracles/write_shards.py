"""Writes files of the formats that trainers read, each with its own writer from PyPI where that needs no PyTorch.

`write_shards.py FOLDER` prints what is in them: for each file its rows, with bytes in Base64.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import random
import struct
import sys
import tarfile
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pyarrow as pa
import webdataset
from mds_shards import write_dataset
from pyarrow import parquet
from tfrecord.writer import TFRecordWriter

ALPHABET = "abc äß日本語🙂\n\"\\"


def text(rng: random.Random, most: int = 40) -> str:
    return "".join(rng.choices(ALPHABET, k=rng.randrange(most)))


def plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, np.ndarray):
        return plain(value.ravel().tolist())
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def mds(folder: Path, rng: random.Random) -> dict[str, list[dict[str, Any]]]:
    columns = {
        "text": "str", "raw": "bytes", "image": "jpeg", "meta": "json", "whole": "int", "digits": "str_int",
        "written": "str_float", "money": "str_decimal", "tiny": "uint8", "short": "int16", "large": "uint32",
        "half": "float16", "single": "float32", "double": "float64",
        "ids": "ndarray:uint16", "grid": "ndarray:int32:2,3", "row": "ndarray:float32:4",
    }  # fmt: skip

    def sample() -> dict[str, Any]:
        return {
            "text": text(rng),
            "raw": rng.randbytes(rng.randrange(30)),
            "image": b"\xff\xd8" + rng.randbytes(rng.randrange(200)),
            "meta": {"a": [rng.random(), None, text(rng)]},
            "whole": rng.randrange(-(2**63), 2**63),
            "digits": rng.randrange(-(2**63), 2**63),
            "written": rng.uniform(-1e9, 1e9),
            "money": f"{rng.randrange(10**30)}.{rng.randrange(100):02}",
            "tiny": rng.randrange(256),
            "short": rng.randrange(-(2**15), 2**15),
            "large": rng.randrange(2**32),
            "half": rng.randrange(-100, 100) / 4,
            "single": rng.randrange(-1000, 1000) / 8,
            "double": rng.uniform(-1, 1),
            "ids": np.array([rng.randrange(2**16) for _ in range(rng.randrange(1, 400))], "uint16"),
            "grid": np.array([rng.randrange(-9, 9) for _ in range(6)], "int32").reshape(2, 3),
            "row": np.array([rng.randrange(-9, 9) / 2 for _ in range(4)], "float32"),
        }

    written = {}
    for compression in (None, "gz", "zstd"):
        shards = [[sample() for _ in range(rng.randrange(1, 40))] for _ in range(3)]
        where = f"mds-{compression or 'plain'}"
        names = write_dataset(folder / where, columns, shards, compression)
        for name, samples in zip(names, shards):
            rows = []
            for one in samples:
                shape = {"ids.shape": [one["ids"].size], "grid.shape": [2, 3]}
                rows.append({key: plain(value) for key, value in (one | shape).items()} | {"meta": json.dumps(one["meta"])})
            written[f"{where}/{name}"] = rows
    tokens = [[{"tokens": np.array(rng.choices(range(50_000), k=rng.randrange(1, 300)), "uint16")} for _ in range(50)]]
    (name,) = write_dataset(folder / "mds-tokens", {"tokens": "ndarray:uint16"}, tokens)
    written[f"mds-tokens/{name}"] = [
        {"tokens": plain(one["tokens"]), "tokens.shape": [one["tokens"].size]} for one in tokens[0]
    ]
    return written


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def wds(folder: Path, rng: random.Random) -> dict[str, list[dict[str, Any]]]:
    def rows(count: int, prefix: str) -> list[dict[str, Any]]:
        return [
            {
                "__key__": f"{prefix}{number:06}",
                "txt": text(rng, 900),
                "json": {"n": number, "text": text(rng)},
                "cls": rng.randrange(-5, 1000),
                "jpg": rng.randbytes(rng.randrange(2000)),
                "ids.npy": np.array(rng.choices(range(1000), k=rng.randrange(9)), "int64"),
            }
            for number in range(count)
        ]

    def expected(one: dict[str, Any]) -> dict[str, Any]:
        return {key: json.dumps(value) if key == "json" else plain(value) for key, value in one.items()}

    def write(name: str, samples: list[dict[str, Any]]) -> None:
        # The package writes text as ASCII, so it gets UTF-8.
        raw = [one | {"txt": one["txt"].encode(), "json": json.dumps(one["json"]).encode()} for one in samples]
        with webdataset.TarWriter(str(folder / name), encoder=True, compress=name.endswith("gz")) as sink:
            for one in raw:
                sink.write(one | {"ids.npy": npy(one["ids.npy"]), "cls": str(one["cls"]).encode()})

    written = {}
    for name, count in (("wds.tar", 120), ("wds.tar.gz", 30)):
        samples = rows(count, "sample")
        write(name, samples)
        written[name] = [expected(one) for one in samples]
    samples = rows(40, "split/")
    with webdataset.ShardWriter(str(folder / "wds-shard-%02d.tar"), maxcount=15, verbose=0) as sink:
        for one in samples:
            sink.write({"__key__": one["__key__"], "txt": one["txt"].encode(), "jpg": one["jpg"]})
    for shard in range(3):
        part = samples[15 * shard : 15 * shard + 15]
        written[f"wds-shard-{shard:02}.tar"] = [{key: plain(one[key]) for key in ("__key__", "txt", "jpg")} for one in part]
    return written | tars(folder, rng)


def tars(folder: Path, rng: random.Random) -> dict[str, list[dict[str, Any]]]:
    """Archives of every form that the standard library writes, with long names and things that are no files."""
    written = {}
    for name, form in (("ustar", tarfile.USTAR_FORMAT), ("gnu", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)):
        rows = []
        with tarfile.open(folder / f"{name}.tar", "w", format=form) as archive:
            folder_entry = tarfile.TarInfo("deep")
            folder_entry.type = tarfile.DIRTYPE
            archive.addfile(folder_entry)
            for number in range(20):
                # ustar splits a path at a slash; the others take names of any length and letters.
                long = "/".join(["d" * 80, f"{'k' * 60}{number}"]) if name == "ustar" else "ä" * 150 + str(number)
                key = f"deep/{long}" if number % 2 else f"k{number}"
                row = {"__key__": key, "txt": text(rng, 600), "seg.png": rng.randbytes(rng.choice([0, 511, 512, 513]))}
                for extension in ("TXT", "seg.png"):
                    data = row["txt"].encode() if extension == "TXT" else row["seg.png"]
                    entry = tarfile.TarInfo(f"{key}.{extension}")
                    entry.size = len(data)
                    archive.addfile(entry, io.BytesIO(data))
                rows.append({column: plain(value) for column, value in row.items()})
            link = tarfile.TarInfo("link.txt")
            link.type, link.linkname = tarfile.SYMTYPE, "k0.txt"
            archive.addfile(link)
            for skipped in ("__meta__", "__meta__/x.txt", "k0/.hidden.txt"):
                archive.addfile(tarfile.TarInfo(skipped), io.BytesIO())
        written[f"{name}.tar"] = rows
    packed = pa.compress((folder / "gnu.tar").read_bytes(), "zstd", asbytes=True)
    (folder / "gnu2.tar.zst").write_bytes(packed)
    return written | {"gnu2.tar.zst": written["gnu.tar"]}


def check_frames(data: bytes) -> None:
    """The checksums of a file, by another implementation than its writer's."""

    def masked(data: bytes) -> int:
        crc = google_crc32c.value(data)
        return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF

    while data:
        (length,) = struct.unpack("<Q", data[:8])
        assert struct.unpack("<I", data[8:12]) == (masked(data[:8]),)
        assert struct.unpack("<I", data[12 + length : 16 + length]) == (masked(data[12 : 12 + length]),)
        data = data[16 + length :]


def tfrecords(folder: Path, rng: random.Random) -> dict[str, list[dict[str, Any]]]:
    kinds = {"text": "byte", "raw": "byte", "words": "byte", "n": "int", "ids": "int", "score": "float", "row": "float"}
    rows = []
    for number in range(150):
        rows.append(
            {
                "text": text(rng, 300),
                "raw": b"\xff" + rng.randbytes(rng.randrange(40)),
                "words": [text(rng) for _ in range(rng.randrange(4) if number else 3)],
                "n": rng.randrange(-(2**63), 2**63),
                "ids": [rng.randrange(2**20) for _ in range(rng.randrange(200) if number else 5)],
                "score": rng.randrange(-100, 100) / 8,
                "row": [rng.randrange(100) / 4 for _ in range(3)],
            }
        )
    path = folder / "examples.tfrecord"
    writer = TFRecordWriter(str(path))
    for row in rows:
        encoded = row | {"text": row["text"].encode(), "words": [word.encode() for word in row["words"]]}
        # A feature that a record lacks is null.
        writer.write({key: (encoded[key], kind) for key, kind in kinds.items() if key != "score" or row["n"] % 5})
    writer.close()
    check_frames(path.read_bytes())
    (folder / "zipped.tfrecord").write_bytes(gzip.compress(path.read_bytes(), mtime=0))
    expected = [
        {key: plain(value) for key, value in row.items() if key != "score"} | {"score": row["score"] if row["n"] % 5 else None}
        for row in rows
    ]
    tokens = [{"tokens": [rng.randrange(2**31) for _ in range(number % 7)]} for number in range(2, 60)]
    writer = TFRecordWriter(str(folder / "tokens.tfrecord"))
    for row in tokens:
        writer.write({"tokens": (row["tokens"], "int")})
    writer.close()
    return {"examples.tfrecord": expected, "zipped.tfrecord": expected, "tokens.tfrecord": tokens}


TYPES = {1: "u1", 2: "i1", 3: "<i2", 4: "<i4", 5: "<i8", 6: "<f8", 7: "<f4", 8: "<u2"}


def write_megatron(path: Path, code: int, documents: list[list[list[int]]], order: list[int]) -> None:
    """An `.idx` and its `.bin`; `order` says in which order the sequences lie in the `.bin`."""
    sequences = [sequence for document in documents for sequence in document]
    dtype = np.dtype(TYPES[code])
    pointers, data = [0] * len(sequences), b""
    for number in order:
        pointers[number] = len(data)
        data += np.array(sequences[number], dtype).tobytes()
    path.with_suffix(".bin").write_bytes(data)
    ends = np.cumsum([0, *map(len, documents)])
    with path.with_suffix(".idx").open("wb") as out:
        out.write(b"MMIDIDX\0\0" + struct.pack("<QBQQ", 1, code, len(sequences), len(ends)))
        out.write(np.array([len(sequence) for sequence in sequences], "<i4").tobytes())
        out.write(np.array(pointers, "<i8").tobytes() + ends.astype("<i8").tobytes())


def megatron(folder: Path, rng: random.Random) -> dict[str, list[dict[str, Any]]]:
    written = {}
    for code in TYPES:
        highest = {1: 255, 2: 127, 3: 2**15 - 1, 8: 2**16 - 1}.get(code, 100_000)
        documents = [
            [[rng.randrange(highest + 1) for _ in range(rng.randrange(60))] for _ in range(rng.choice([0, 1, 1, 1, 3]))]
            for _ in range(80)
        ]
        order = list(range(sum(map(len, documents))))
        if code % 2:
            rng.shuffle(order)
        name = f"type-{code}.idx"
        write_megatron(folder / name, code, documents, order)
        written[name] = [{"tokens": [token for sequence in document for token in sequence]} for document in documents]
    parquet.write_table(pa.Table.from_pylist(written["type-8.idx"]), folder / "tokens.parquet")
    return written


if __name__ == "__main__":
    where, seeded = Path(sys.argv[1]), random.Random(20)
    print(json.dumps({form.__name__: form(where, seeded) for form in (mds, wds, tfrecords, megatron)}))
