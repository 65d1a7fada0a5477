"""Reads Megatron shards and packings with numpy alone, from the description of the formats.

megatron.py documents BASE...          prints the documents of shards BASE.bin and BASE.idx
megatron.py sequences PACKS BASE...    prints the sequences of a packing over shards numbered 0, 1, ...
"""

import json
import sys

import numpy as np

DTYPES = {1: np.uint8, 2: np.int8, 3: np.int16, 4: np.int32, 5: np.int64, 8: np.uint16}


def read_shard(base):
    """The memory-mapped ids, and the lengths and first tokens of the documents."""
    with open(base + ".idx", "rb") as file:
        assert file.read(9) == b"MMIDIDX\x00\x00"
        assert int.from_bytes(file.read(8), "little") == 1
        dtype = np.dtype(DTYPES[file.read(1)[0]])
        sequences = int.from_bytes(file.read(8), "little")
        documents = int.from_bytes(file.read(8), "little")
        lengths = np.fromfile(file, "<i4", sequences)
        pointers = np.fromfile(file, "<i8", sequences)
        indices = np.fromfile(file, "<i8", documents)
        assert file.read() == b""
    assert (indices == np.arange(sequences + 1)).all()
    assert (pointers % dtype.itemsize == 0).all()
    ids = np.fromfile(base + ".bin", dtype)
    assert ids.size == lengths.sum()
    return ids, lengths, pointers // dtype.itemsize, dtype


def documents(bases):
    result = []
    for base in bases:
        ids, lengths, starts, dtype = read_shard(base)
        texts = [ids[start : start + length].tolist() for start, length in zip(starts, lengths)]
        result.append({"dtype": dtype.name, "documents": texts})
    return result


def sequences(packs, bases):
    shards = [read_shard(base) for base in bases]
    pieces = np.load(packs + "/pieces.npy", mmap_mode="r")
    document_of = np.load(packs + "/documents.npy", mmap_mode="r")
    boundaries = np.load(packs + "/boundaries.npy", mmap_mode="r")
    assert pieces.dtype == np.dtype([("token_offset", "<u8"), ("shard", "<u4"), ("length", "<u4")])
    assert document_of.dtype == np.uint32 and boundaries.dtype == np.uint64
    assert len(document_of) == len(pieces)
    ends = np.append(boundaries[1:], np.uint64(len(pieces)))
    result = []
    for first, end in zip(boundaries.tolist(), ends.tolist()):
        assert first < end
        sequence = []
        for piece, document in zip(pieces[first:end], document_of[first:end]):
            ids, lengths, starts, _ = shards[piece["shard"]]
            offset, length = int(piece["token_offset"]), int(piece["length"])
            inside = starts[document] <= offset and offset + length <= starts[document] + lengths[document]
            assert inside, "a piece leaves its document"
            sequence.append(
                {
                    "shard": int(piece["shard"]),
                    "document": int(document),
                    "from": int(offset - starts[document]),
                    "ids": ids[offset : offset + length].tolist(),
                }
            )
        result.append(sequence)
    return result


command, *arguments = sys.argv[1:]
print(json.dumps(documents(arguments) if command == "documents" else sequences(arguments[0], arguments[1:])))
