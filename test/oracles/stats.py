"""Statistics of rows, counted with collections.Counter: {"files", "by", "ngrams", "top"} from standard input, the rows
of each table that a `stats` step writes to standard output. Words are what str.split gives, n-grams have no bound."""
import json
import sys
from collections import Counter

request = json.load(sys.stdin)
rows = [json.loads(line) for path in request["files"] for line in open(path, encoding="utf8")]
tables = {"groups": [], "lengths": [], "ngrams": []}


def count(column, value, members):
    group = {"field": column, "value": value}
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


count(None, None, rows)
for column in request["by"]:
    for value in sorted({row[column] for row in rows if row.get(column) is not None}, key=str.encode):
        count(column, value, [row for row in rows if row.get(column) == value])
json.dump(tables, sys.stdout)
