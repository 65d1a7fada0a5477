"""Prints the records of a CSV file as one JSON array of arrays; empty lines are left out."""

import csv
import json
import sys

with open(sys.argv[1], encoding="utf-8", newline="") as file:
    json.dump([record for record in csv.reader(file) if record], sys.stdout)
