"""Reads shards with pyarrow and prints them as one JSON value: names, types, rows, row groups.

Usage: read_rows.py FILE...
Formats are told from the suffix: .parquet, .arrow, .jsonl, .jsonl.gz, .jsonl.zst.
"""

import json
import sys

import pyarrow as pa
import pyarrow.feather
import pyarrow.ipc
import pyarrow.parquet as pq


def read(path: str) -> dict:
    if path.endswith(".parquet"):
        file = pq.ParquetFile(path)
        table = file.read()
        groups = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
    elif path.endswith(".arrow"):
        with pa.ipc.open_file(path) as file:
            table = file.read_all()
            groups = [file.get_batch(i).num_rows for i in range(file.num_record_batches)]
    else:
        codec = {"gz": "gzip", "zst": "zstd"}.get(path.rsplit(".", 1)[-1])
        with pa.OSFile(path) as raw:
            stream = pa.CompressedInputStream(raw, codec) if codec else raw
            lines = stream.read().decode().split("\n")[:-1]  # str.splitlines would also cut at U+2028
        rows = [json.loads(line) for line in lines]
        return {"names": list(rows[0]) if rows else [], "types": [], "rows": rows, "groups": []}
    table.validate(full=True)
    return {
        "names": table.schema.names,
        "types": [str(field.type) for field in table.schema],
        "rows": table.to_pylist(),
        "groups": groups,
    }


json.dump([read(path) for path in sys.argv[1:]], sys.stdout, default=str)
