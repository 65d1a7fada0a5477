"""Statistics of rows, counted with collections.Counter: {"files", "by", "ngrams", "top"} from standard input, the rows
of each table that a `stats` step writes to standard output. Words are what str.split gives, n-grams have no bound."""
import json
import sys
from collections import Counter
from itertools import combinations

request = json.load(sys.stdin)
rows = [json.loads(line) for path in request["files"] for line in open(path, encoding="utf8")]
tables = {"groups": [], "lengths": [], "ngrams": []}


def count(columns, values, members):
    first, second = [*values, None, None][:2]
    group = {"field": ",".join(columns) or None, "value": first, "value_2": second}
    texts = [row["text"] for row in members if row["text"] is not None]
    lengths = {
        "bytes": [len(text.encode()) for text in texts],
        "characters": [len(text) for text in texts],
        "words": [len(text.split()) for text in texts],
    }
    sums = {unit: sum(values) for unit, values in lengths.items()}
    tables["groups"].append({**group, "rows": len(members), "without_text": len(members) - len(texts), **sums})
    for unit, values in lengths.items():
        for digits, texts_in_bin in sorted(Counter(value.bit_length() for value in values).items()):
            bounds = {"at_least": 2**digits >> 1, "below": 2**digits}
            tables["lengths"].append({**group, "unit": unit, **bounds, "rows": texts_in_bin})
    for n in request["ngrams"]:
        counts = Counter()
        for text in texts:
            words = text.split()
            counts.update(" ".join(words[at : at + n]) for at in range(len(words) - n + 1))
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0].encode()))[: request["top"]]
        for rank, (ngram, times) in enumerate(ranked, 1):
            place = {"n": n, "rank": rank, "ngram": ngram}
            tables["ngrams"].append({**group, **place, "count": times, "max_error": 0, "total": counts.total()})


count([], [], rows)
singles = [[column] for column in request["by"]]
for columns in singles + [list(pair) for pair in combinations(request["by"], 2)]:
    of = lambda row: tuple(row.get(column) for column in columns)
    found = {of(row) for row in rows if None not in of(row)}
    for values in sorted(found, key=lambda values: [value.encode() for value in values]):
        count(columns, values, [row for row in rows if of(row) == values])
json.dump(tables, sys.stdout)
