"""Writes one table in many forms with pyarrow and prints what is in them.

Usage: write_columnar.py FOLDER
Prints {"rows": [...], "files": [...]}: the rows of every file, and the files' names. Integers beyond 2^53
and times are printed as text.
"""

import datetime
import json
import sys

import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

folder = sys.argv[1]
ROWS = 500
texts = [f"row {i} “é” {'词' * (i % 40)}" for i in range(ROWS)]
ids = [None if i % 9 == 0 else f"id-{i}" for i in range(ROWS)]
small = [None if i % 7 == 0 else i - 250 for i in range(ROWS)]
big = [2**62 + i for i in range(ROWS)]
score = [None if i % 5 == 0 else i / 8 for i in range(ROWS)]
flag = [None if i % 3 == 0 else i % 2 == 0 for i in range(ROWS)]
lang = [["en", "zh", None][i % 3] for i in range(ROWS)]
tags = [None if i % 11 == 0 else [f"t{j}" for j in range(i % 4)] for i in range(ROWS)]
nested = [{"a": i, "b": {"c": str(i)}} for i in range(ROWS)]
when = [datetime.datetime(2024, 1, 1) + datetime.timedelta(seconds=i) for i in range(ROWS)]


def table(text_type=pa.string(), int_type=pa.int32(), float_type=pa.float64()):
    columns = {
        "id": pa.array(ids, text_type),
        "body": pa.array(texts, text_type),
        "small": pa.array(small, int_type),
        "big": pa.array(big, pa.int64()),
        "score": pa.array(score, float_type),
        "flag": pa.array(flag),
        "lang": pa.array(lang, text_type),
        "tags": pa.array(tags, pa.list_(pa.string())),
        "nested": pa.array(nested),
        "when": pa.array(when, pa.timestamp("us", tz="UTC")),
    }
    return pa.table(columns)


files = []


def path(name):
    files.append(name)
    return f"{folder}/{name}"


def parquet(name, of=None, **options):
    pq.write_table(of or table(), path(f"{name}.parquet"), **options)


for codec in ["none", "snappy", "gzip", "zstd", "lz4", "brotli"]:
    parquet(f"codec-{codec}", compression=codec, row_group_size=97)
for encoding in ["PLAIN", "DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"]:
    parquet(f"encoding-{encoding.lower()}", use_dictionary=False, column_encoding={"body": encoding, "id": encoding})
parquet(
    "encoding-numbers",
    use_dictionary=False,
    column_encoding={"score": "BYTE_STREAM_SPLIT", "small": "DELTA_BINARY_PACKED", "big": "DELTA_BINARY_PACKED"},
)
parquet("pages-v2", data_page_version="2.0", data_page_size=512)
parquet("pages-small", data_page_size=64, write_batch_size=3, row_group_size=50, write_page_index=True)
parquet("pages-checked", write_page_checksum=True)
parquet("one-row-groups", row_group_size=1)
parquet("no-statistics", write_statistics=False)
parquet("no-arrow-schema", store_schema=False)
parquet("format-1.0", version="1.0", use_deprecated_int96_timestamps=True)
for text_type in [pa.large_string(), pa.string_view(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]:
    # Plain binary columns are read as text only where they are the document, the id, or said to be text.
    parquet(f"text-{str(text_type).split('<')[0]}", table(text_type), row_group_size=150)
for int_type in [pa.int16(), pa.int64()]:
    parquet(f"small-{int_type}", table(int_type=int_type))
parquet("score-float", table(float_type=pa.float32()))
parquet("no-nulls-declared", pa.table(table(), schema=pa.schema([f.with_nullable(f.name != "body") for f in table().schema])))


def arrow(name, of=None, stream=False, **options):
    of = of or table()
    kind, suffix = (pa.ipc.new_stream, "arrows") if stream else (pa.ipc.new_file, "arrow")
    with kind(path(f"{name}.{suffix}"), of.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        for at in range(0, ROWS, 120):
            writer.write_batch(of.slice(at, 120).combine_chunks().to_batches()[0])


for stream in [False, True]:
    for codec in [None, "lz4", "zstd"]:
        arrow(f"ipc-{codec}", stream=stream, compression=codec)
    for text_type in [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]:
        arrow(f"ipc-{str(text_type).split('<')[0]}", table(text_type), stream=stream, unify_dictionaries=not stream)
feather.write_feather(table(), path("default.feather"))
feather.write_feather(table(), path("plain.feather"), compression="uncompressed", chunksize=33)

rows = [
    {
        "id": ids[i],
        "text": texts[i],
        "small": small[i],
        "big": str(big[i]),
        "score": score[i],
        "flag": flag[i],
        "lang": lang[i],
        "tags": tags[i],
        "nested": nested[i],
    }
    for i in range(ROWS)
]
json.dump({"rows": rows, "files": files}, sys.stdout)
