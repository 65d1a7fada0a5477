"""The documents that a peer takes."""

from __future__ import annotations

import json
from collections.abc import Iterator


def documents(corpus: str, lang: str, limit: int) -> Iterator[str]:
    """Texts of the corpus, up to so many bytes; with a language, manuals are left out."""
    taken = 0
    with open(corpus, encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if lang != "all" and (row["lang"] != lang or row["source"] == "python-docs"):
                continue
            taken += len(row["text"].encode())
            if taken > limit:
                return
            yield row["text"]
