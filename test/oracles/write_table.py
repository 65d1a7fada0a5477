"""Writes tables as they are described on standard input with pyarrow.

Input: a list of {"path", "columns": {name: {"type", "values"}}, "options"}. The suffix of the path tells the
format (.parquet, .arrow, .arrows); `options` are those of write_table, or of IpcWriteOptions and `batch_rows`.
Prints the number of files. Types are names of pyarrow's factories; "base64" values are binary.
"""

import base64
import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq


def column(described: dict) -> pa.Array:
    if described["type"] == "base64":
        return pa.array([base64.b64decode(value) for value in described["values"]], pa.binary())
    return pa.array(described["values"], pa.type_for_alias(described["type"]))


requests = json.load(sys.stdin)
for request in requests:
    table = pa.table({name: column(described) for name, described in request["columns"].items()})
    path, options = request["path"], request.get("options", {})
    if path.endswith(".parquet"):
        pq.write_table(table, path, **options)
        continue
    rows = options.pop("batch_rows", table.num_rows or 1)
    kind = pa.ipc.new_stream if path.endswith(".arrows") else pa.ipc.new_file
    with kind(path, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=rows)
print(len(requests))
