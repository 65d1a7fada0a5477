"""MinHash signatures of texts that are already in memory, with a Python peer: 112 permutations, five-word shingles.

Usage: minhash.py rensa|datatrove CORPUS.jsonl LANG MEGABYTES

LANG is ``all`` or a language; with a language, manuals are left out. Prints one JSON object: bytes, seconds. Reading
and parsing are not counted. ``rensa`` hashes shingles of words between white space, joined in Python, which is how
its documentation feeds it: nothing is simplified. ``datatrove`` runs its own ``MinhashDedupSignature``: it simplifies
the text, cuts words with spaCy and computes the signature with numpy. Each takes documents up to so many megabytes.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence

from documents import documents

BATCH = 256
PERMUTATIONS = 112
SIZE = 5

Sign = Callable[[Sequence[str]], object]
"""Computes the signatures of some texts."""


def with_rensa() -> Sign:
    """rensa, a batch a call."""
    from rensa import RMinHash

    def shingles(text: str) -> set[str]:
        words = text.split()
        return {" ".join(words[at : at + SIZE]) for at in range(max(1, len(words) - SIZE + 1))}

    return lambda texts: RMinHash.digest_matrix_from_token_sets([shingles(text) for text in texts], PERMUTATIONS, 42)


def with_datatrove() -> Sign:
    """datatrove's first step, without its files."""
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature

    config = MinhashConfig(n_grams=SIZE, num_buckets=16, hashes_per_bucket=7)
    step = MinhashDedupSignature(output_folder=".cache/bench/datatrove", config=config)

    def sign(texts: Sequence[str]) -> object:
        sets = (step.get_shingles(text) for text in texts)
        return [step.get_signature(shingles) for shingles in sets if len(shingles) > 0]

    return sign


def main() -> None:
    kind, corpus, lang, megabytes = sys.argv[1:]
    sign = {"rensa": with_rensa, "datatrove": with_datatrove}[kind]()
    texts = list(documents(corpus, lang, int(megabytes) * 1_000_000))
    sign(texts[:1])
    started = time.perf_counter()
    for at in range(0, len(texts), BATCH):
        sign(texts[at : at + BATCH])
    seconds = time.perf_counter() - started
    print(json.dumps({"bytes": sum(len(text.encode()) for text in texts), "seconds": seconds}))


if __name__ == "__main__":
    main()
