"""Writes small runs with numpy and pyarrow alone, and reads exports with the tools whose formats they have.

Reads a JSON request from standard input:

{"make": FOLDER, "seed": N, "wide": bool}     writes a run; prints its sequences and documents
{"many": FOLDER}                              writes a run of some hundred short sequences
{"read": [{"folder": …, "format": …}, …]}     prints for each folder its samples, each a mapping of plain values

WebDataset, TFRecord, safetensors, Arrow and Parquet are read by their own packages. MDS and LitData need PyTorch, so
they are read here by readers written from the description in docs/export.md and the writers; python/tests_torch reads them with
their own.
"""

import json
import struct
import sys
from pathlib import Path

import numpy as np
import xxhash

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python/tests"))


def make(folder, seed, wide):
    from runs import random_documents, random_rows, write_run

    vocabulary = 200_000 if wide else 60_000
    # Some have no token; some more than a list of 255, where MDS states the length in another way.
    documents = random_documents(60, 40, seed, vocabulary) + [[], *random_documents(3, 900, seed, vocabulary), []]
    rows = random_rows(documents, seed)
    run = write_run(Path(folder), documents, 64, wide=wide, shards=3, vocabulary=vocabulary, rows=rows)
    return {"sequences": run.sequences, "documents": run.documents, "rows": run.rows}


def offset_samples(content):
    """The samples behind a table of offsets."""
    (count,) = struct.unpack_from("<I", content)
    offsets = struct.unpack_from(f"<{count + 1}I", content, 4)
    assert offsets[-1] == len(content)
    return [content[start:end] for start, end in zip(offsets, offsets[1:])], content[4 * (count + 2) : offsets[0]]


def mds_value(encoding, data):
    kind, *rest = encoding.split(":")
    if kind == "str":
        return data.decode()
    if kind == "json":
        return json.loads(data)
    if kind == "bytes":
        return list(data)
    if kind != "ndarray":
        (value,) = np.frombuffer(data, np.dtype(kind).newbyteorder("<"))
        return value.item()
    if len(rest) == 1:
        dimensions, code = data[0] >> 2, data[0] & 3
        assert dimensions == 1
        length = int.from_bytes(data[1 : 1 + 2**code], "little")
        data = data[1 + 2**code :]
        assert len(data) == length * np.dtype(rest[0]).itemsize
    else:
        assert len(data) == int(rest[1]) * np.dtype(rest[0]).itemsize
    return np.frombuffer(data, np.dtype(rest[0]).newbyteorder("<")).tolist()


def mds_file(path, stated):
    content = path.read_bytes()
    assert path.name == stated["basename"] and len(content) == stated["bytes"]
    assert stated["hashes"] == {"xxh3_64": xxhash.xxh3_64_hexdigest(content)}
    return content


def decompressed(content, size):
    import pyarrow

    return pyarrow.decompress(content, size, "zstd", asbytes=True)


def read_mds(folder):
    index = json.loads((folder / "index.json").read_text())
    assert index["version"] == 2
    for shard in index["shards"]:
        assert (shard["version"], shard["format"]) == (2, "mds")
        packed = shard["zip_data"]
        assert shard["compression"] == (None if packed is None else "zstd")
        content = mds_file(folder / (packed or shard["raw_data"])["basename"], packed or shard["raw_data"])
        if packed is not None:
            content = decompressed(content, shard["raw_data"]["bytes"])
            assert shard["raw_data"]["hashes"] == {"xxh3_64": xxhash.xxh3_64_hexdigest(content)}
        samples, config = offset_samples(content)
        assert json.loads(config) == {k: v for k, v in shard.items() if k not in ("raw_data", "zip_data", "samples")}
        assert len(samples) == shard["samples"]
        assert shard["column_names"] == sorted(shard["column_names"])
        for data in samples:
            free = shard["column_sizes"].count(None)
            sizes = iter(struct.unpack_from(f"<{free}I", data))
            at, sample = 4 * free, {}
            for name, encoding, fixed in zip(*(shard[f"column_{key}"] for key in ("names", "encodings", "sizes"))):
                size = next(sizes) if fixed is None else fixed
                sample[name] = mds_value(encoding, data[at : at + size])
                at += size
            assert at == len(data)
            yield sample


#: Numbers that LitData gives to types of tensors.
TENSORS = {0: "f4", 2: "f8", 8: "f2", 11: "u1", 12: "i1", 13: "i2", 15: "i4", 17: "i8", 20: "u2"}


def litdata_value(form, data):
    if form.startswith("no_header_tensor:"):
        return np.frombuffer(data, "<" + TENSORS[int(form.split(":")[1])]).tolist()
    return {
        "str": lambda: data.decode(),
        "json": lambda: json.loads(data),
        "int": lambda: struct.unpack("<q", data)[0],
        "float": lambda: struct.unpack("<d", data)[0],
        "bool": lambda: data == b"\1",
        "bytes": lambda: list(data),
    }[form]()


def read_litdata(folder):
    index = json.loads((folder / "index.json").read_text())
    protocol, spec = json.loads(index["config"]["data_spec"])
    assert protocol == 1 and spec["type"] == "builtins.dict"
    names, formats = json.loads(spec["context"]), index["config"]["data_format"]
    assert len(names) == len(formats) == len(spec["children_spec"])
    for chunk in index["chunks"]:
        content = (folder / chunk["filename"]).read_bytes()
        if index["config"]["compression"] == "zstd":
            assert chunk["filename"].endswith(".zstd.bin")
            content = decompressed(content, chunk["chunk_bytes"])
        assert len(content) == chunk["chunk_bytes"]
        samples, head = offset_samples(content)
        assert len(samples) == chunk["chunk_size"] and head == b""
        for data in samples:
            sizes = struct.unpack_from(f"<{len(names)}I", data)
            at, sample = 4 * len(names), {}
            for name, form, size in zip(names, formats, sizes):
                sample[name] = litdata_value(form, data[at : at + size])
                at += size
            assert at == len(data)
            yield sample


def plain(value):
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def read_webdataset(folder):
    import webdataset

    files = sorted(str(path) for path in folder.glob("*.tar"))
    for number, sample in enumerate(webdataset.WebDataset(files, shardshuffle=False).decode()):
        assert sample.pop("__key__") == f"{number:09}"
        row = sample.pop("json", {})
        for name, value in sample.items():
            if not name.startswith("__"):
                row["text" if name == "txt" else name.removesuffix(".npy")] = plain(value)
        yield row


def check_crcs(path):
    """The package that reads records passes their checksums over."""
    import crc32c

    def masked(data):
        crc = crc32c.crc32c(data)
        return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF

    content, at = path.read_bytes(), 0
    while at < len(content):
        length, crc = struct.unpack_from("<QI", content, at)
        assert crc == masked(content[at : at + 8])
        data = content[at + 12 : at + 12 + length]
        assert struct.unpack_from("<I", content, at + 12 + length) == (masked(data),)
        at += 16 + length


def read_tfrecord(folder):
    from tfrecord.reader import tfrecord_loader

    for path in sorted(folder.glob("*.tfrecord")):
        check_crcs(path)
        for example in tfrecord_loader(str(path), None):
            yield {name: value.decode() if isinstance(value, bytes) else plain(value) for name, value in example.items()}


def read_arrow(folder):
    import pyarrow

    for path in sorted(folder.glob("*.arrow")):
        with pyarrow.ipc.open_file(pyarrow.memory_map(str(path))) as file:
            file.read_all().validate(full=True)
            yield from file.read_all().to_pylist()


def read_parquet(folder):
    import pyarrow.parquet

    # The folder as a whole: what else lies in it is no table.
    yield from pyarrow.parquet.read_table(folder).to_pylist()


def read_safetensors(folder):
    from safetensors.numpy import load_file

    for path in sorted(folder.glob("*.safetensors")):
        tensors = load_file(path)
        names = [name for name in tensors if not name.endswith((".offsets", ".valid"))]
        count = max(len(tensors[f"{n}.offsets"]) - 1 if f"{n}.offsets" in tensors else len(tensors[n]) for n in names)
        for row in range(count):
            sample = {}
            for name in names:
                offsets, valid = tensors.get(f"{name}.offsets"), tensors.get(f"{name}.valid")
                if valid is not None and not valid[row]:
                    sample[name] = None
                elif offsets is None:
                    sample[name] = plain(tensors[name][row])
                else:
                    value = tensors[name][offsets[row] : offsets[row + 1]]
                    sample[name] = bytes(value).decode() if value.dtype == np.uint8 else plain(value)
            yield sample


READERS = {
    "mds": read_mds,
    "litdata": read_litdata,
    "webdataset": read_webdataset,
    "tfrecord": read_tfrecord,
    "arrow": read_arrow,
    "parquet": read_parquet,
    "safetensors": read_safetensors,
}


if __name__ == "__main__":
    request = json.load(sys.stdin)
    if "many" in request:
        from runs import random_documents, write_run

        answer = len(write_run(Path(request["many"]), random_documents(20_000, 4), 64, shards=4).sequences)
    elif "make" in request:
        answer = make(request["make"], request["seed"], request["wide"])
    else:
        answer = [list(READERS[one["format"]](Path(one["folder"]))) for one in request["read"]]
    json.dump(answer, sys.stdout)
