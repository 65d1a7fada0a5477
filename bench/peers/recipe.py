"""A whole recipe with datatrove's blocks, one after the other in this process, as its FineWeb example has them.

Usage: recipe.py MODEL TOKENIZER CORPUS.jsonl MEGABYTES FOLDER

JSON Lines to language, Gopher, C4, FineWeb, e-mail and IP addresses, JSON Lines; the four stages of near-duplicates;
tokens in a file. Takes documents up to so many megabytes, and works below FOLDER. Prints one JSON object: bytes,
seconds, documents. What is loaded before the first document (spaCy, the model) is not counted.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from pathlib import Path

import fasttext
from datatrove.data import Document
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
)
from datatrove.pipeline.formatters import PIIFormatter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.tokens import DocumentTokenizer
from datatrove.pipeline.writers import JsonlWriter

CONFIG = MinhashConfig(n_grams=5, num_buckets=14, hashes_per_bucket=8)


def slice_of(corpus: str, limit: int, folder: Path) -> tuple[int, int]:
    """Writes documents up to so many bytes of text; returns the bytes and how many."""
    taken = count = 0
    with open(corpus, encoding="utf-8") as lines, (folder / "slice.jsonl").open("w", encoding="utf-8") as out:
        for line in lines:
            size = len(json.loads(line)["text"].encode())
            if taken + size > limit:
                break
            taken, count = taken + size, count + 1
            out.write(line)
    return taken, count


def run(blocks: list, rank: int = 0, world_size: int = 1) -> None:
    """Runs blocks as datatrove's executors do."""
    data = None
    for block in blocks:
        data = block.run(data, rank, world_size)
    for _ in data or ():
        pass


def main() -> None:
    model, tokenizer, corpus, megabytes, folder = sys.argv[1:]
    work = Path(folder)
    shutil.rmtree(work, ignore_errors=True)
    (work / "in").mkdir(parents=True)
    taken, documents = slice_of(corpus, int(float(megabytes) * 1_000_000), work / "in")
    language = LanguageFilter(["en", "zh"])
    language.model._model = fasttext.load_model(model)  # else it would download another
    filters = [language, GopherRepetitionFilter(), GopherQualityFilter(), C4QualityFilter(), FineWebQualityFilter()]
    for one in filters:
        one.filter(Document(text="The first text loads what is loaded late. It is not counted.", id=""))
    path = lambda name: str(work / name)
    started = time.perf_counter()
    run([JsonlReader(path("in")), *filters, PIIFormatter(), JsonlWriter(path("filtered"), compression=None)])
    filtered = JsonlReader(path("filtered"))
    run([filtered, MinhashDedupSignature(path("signatures"), config=CONFIG)])
    for bucket in range(CONFIG.num_buckets):
        buckets = MinhashDedupBuckets(path("signatures"), path("buckets"), config=CONFIG)
        run([buckets], rank=bucket, world_size=CONFIG.num_buckets)
    run([MinhashDedupCluster(path("buckets"), path("remove"), config=CONFIG)])
    tokens = DocumentTokenizer(path("tokens"), tokenizer, eos_token="<|endoftext|>", shuffle_documents=False)
    run([filtered, MinhashDedupFilter(path("remove")), tokens])
    seconds = time.perf_counter() - started
    print(json.dumps({"bytes": taken, "seconds": seconds, "documents": documents}))
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
