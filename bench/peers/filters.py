"""Published filters of datatrove on texts that are already in memory, as it ships them: words are spaCy's.

Usage: filters.py CORPUS.jsonl LANG MEGABYTES FILTER [FILTER ...]

LANG is ``all`` or a language; with a language, manuals are left out. FILTER is gopher-repetition, gopher-quality,
c4-quality or fineweb-quality. Takes documents up to so many megabytes; each filter sees each document. Prints one
JSON object: bytes, seconds, documents.
"""

from __future__ import annotations

import json
import sys
import time

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)

from documents import documents

FILTERS = {
    "gopher-repetition": GopherRepetitionFilter,
    "gopher-quality": GopherQualityFilter,
    "c4-quality": C4QualityFilter,
    "fineweb-quality": FineWebQualityFilter,
}


def main() -> None:
    corpus, lang, megabytes, *names = sys.argv[1:]
    filters = [FILTERS[name]() for name in names]
    texts = list(documents(corpus, lang, int(float(megabytes) * 1_000_000)))
    for one in filters:
        one.filter(Document(text="The first text loads what is loaded late. It is not counted.", id=""))
    started = time.perf_counter()
    for text in texts:
        for one in filters:
            one.filter(Document(text=text, id=""))  # its own copy: C4's filter changes the text
    seconds = time.perf_counter() - started
    print(json.dumps({"bytes": sum(len(text.encode()) for text in texts), "seconds": seconds, "documents": len(texts)}))


if __name__ == "__main__":
    main()
