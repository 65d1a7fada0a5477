"""Writes MDS shards from the format's description, with numpy alone; mosaicml-streaming itself needs PyTorch."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

SIZES = {"int": 8, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8, "int8": 1, "int16": 2, "int32": 4, "int64": 8}
SIZES |= {"float16": 2, "float32": 4, "float64": 8}


def size_of(encoding: str) -> int | None:
    """Bytes of every value of an encoding, where that is fixed."""
    if encoding.startswith("ndarray:") and encoding.count(":") == 2:
        _, dtype, shape = encoding.split(":")
        return int(np.prod([int(length) for length in shape.split(",")])) * np.dtype(dtype).itemsize
    return SIZES.get(encoding)


def encode(encoding: str, value: Any) -> bytes:
    if encoding in SIZES:
        return np.array(value, "int64" if encoding == "int" else encoding).tobytes()
    if encoding == "json":
        return json.dumps(value).encode()
    if encoding.startswith("ndarray:"):
        parts = encoding.split(":")
        array = np.asarray(value, parts[1])
        if len(parts) == 3:
            return array.tobytes()
        code = next(code for code in range(4) if max(array.shape, default=0) < 256 ** (2**code))
        head = bytes([array.ndim << 2 | code]) + np.array(array.shape, f"<u{2**code}").tobytes()
        return head + array.tobytes()
    return value if isinstance(value, bytes) else str(value).encode()


def shard(columns: dict[str, str], samples: list[dict[str, Any]], *, sizes: dict[str, int | None] | None = None) -> bytes:
    """The bytes of a shard."""
    names = sorted(columns)
    fixed = {name: size_of(columns[name]) for name in names} | (sizes or {})
    config = {
        "column_encodings": [columns[name] for name in names],
        "column_names": names,
        "column_sizes": [fixed[name] for name in names],
        "compression": None,
        "format": "mds",
        "hashes": [],
        "size_limit": 1 << 26,
        "version": 2,
    }
    described = json.dumps(config, sort_keys=True).encode()
    encoded = []
    for sample in samples:
        values = [encode(columns[name], sample[name]) for name in names]
        stored = [len(value) for name, value in zip(names, values) if fixed[name] is None]
        encoded.append(np.array(stored, "<u4").tobytes() + b"".join(values))
    lengths = np.array([0, *map(len, encoded)], "<u4").cumsum().astype("<u4")
    offsets = lengths + np.uint32(4 + 4 * len(lengths) + len(described))
    return np.uint32(len(samples)).tobytes() + offsets.tobytes() + described + b"".join(encoded)


def info(name: str, data: bytes) -> dict[str, Any]:
    return {"basename": name, "bytes": len(data), "hashes": {"sha1": hashlib.sha1(data).hexdigest()}}


def write_dataset(
    folder: Path, columns: dict[str, str], shards: list[list[dict[str, Any]]], compression: str | None = None
) -> list[str]:
    """A folder of shards with their index; the names of the shards as stored."""
    folder.mkdir(parents=True, exist_ok=True)
    listed, names = [], []
    for number, samples in enumerate(shards):
        raw = shard(columns, samples)
        name = f"shard.{number:05}.mds"
        packed = {None: raw, "gz": gzip.compress(raw, mtime=0), "zstd": pa.compress(raw, "zstd", asbytes=True)}[compression]
        stored = name if compression is None else f"{name}.{compression}"
        (folder / stored).write_bytes(packed)
        listed.append(
            {
                "column_encodings": list(columns.values()),
                "column_names": list(columns),
                "compression": compression,
                "format": "mds",
                "hashes": ["sha1"],
                "raw_data": info(name, raw),
                "samples": len(samples),
                "size_limit": 1 << 26,
                "version": 2,
                "zip_data": None if compression is None else info(stored, packed),
            }
        )
        names.append(stored)
    (folder / "index.json").write_text(json.dumps({"shards": listed, "version": 2}, sort_keys=True))
    return names
