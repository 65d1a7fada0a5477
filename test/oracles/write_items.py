"""Writes rows as a Parquet file with pyarrow: {"path", "rows"} in, null out."""
import json
import sys

import pyarrow as pa
import pyarrow.parquet as parquet

request = json.load(sys.stdin)
parquet.write_table(pa.Table.from_pylist(request["rows"]), request["path"])
json.dump(None, sys.stdout)
