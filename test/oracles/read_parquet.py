"""Reads a Parquet file with DuckDB: {"path": ...} from standard input, its rows as objects to standard output."""
import json
import sys

import duckdb

path = json.load(sys.stdin)["path"]
table = duckdb.connect().execute("select * from read_parquet($1)", [path])
names = [column[0] for column in table.description]
plain = lambda value: value.hex() if isinstance(value, bytes) else float(value)
json.dump([dict(zip(names, row)) for row in table.fetchall()], sys.stdout, default=plain)
