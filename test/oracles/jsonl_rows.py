"""Reads a JSON Lines file with Python's json and prints what a reader should have made of it.

One JSON array of {"position", "id", "text", "value"} on standard output, one a row. Lines that are not strict
JSON, are no objects, or have no text are left out.
"""

import json
import sys


def no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


position = 0
rows = []
with open(sys.argv[1], "rb") as file:
    for line in file:
        start, position = position, position + len(line)
        try:
            record = json.loads(line.decode("utf-8"), parse_constant=no_constant)
        except ValueError:
            continue
        if not isinstance(record, dict) or not isinstance(record.get("text"), str):
            continue
        try:
            record["text"].encode("utf-8")
        except UnicodeEncodeError:  # a lone surrogate
            continue
        rows.append({"position": start, "id": record.get("id"), "text": record["text"], "value": record.get("value")})
json.dump(rows, sys.stdout)
