"""Languages of texts that are already in memory, with fastText itself on its own model file.

Usage: language.py MODEL CORPUS.jsonl LANG MEGABYTES

LANG is ``all`` or a language; with a language, manuals are left out. Takes documents up to so many megabytes. Prints
one JSON object: bytes, seconds, documents, and how many documents have each label.
"""

from __future__ import annotations

import json
import sys
import time
from collections import Counter

import fasttext

from documents import documents


def main() -> None:
    model_file, corpus, lang, megabytes = sys.argv[1:]
    fasttext.FastText.eprint = lambda *_: None
    model = fasttext.load_model(model_file)
    texts = list(documents(corpus, lang, int(megabytes) * 1_000_000))
    model.predict("The first text loads what is loaded late.")
    labels: Counter[str] = Counter()
    started = time.perf_counter()
    for text in texts:
        # fastText reads one line at a time.
        best, _ = model.predict(text.replace("\n", " "))
        labels[best[0].removeprefix("__label__") if best else ""] += 1
    seconds = time.perf_counter() - started
    size = sum(len(text.encode()) for text in texts)
    print(json.dumps({"bytes": size, "seconds": seconds, "documents": len(texts), "labels": labels}))


if __name__ == "__main__":
    main()
