"""Tokenises a corpus that is already in memory, with one of the Python peers.

Usage: encode_batch.py tokenizers|candidate|tiktoken CORPUS.jsonl TOKENIZER.json THREADS

Prints one JSON object: bytes, tokens, seconds. Reading and parsing are not counted. ``tokenizers`` is version 0.23,
``candidate`` the release candidate of 1.0, whose methods differ; both take their thread count from
RAYON_NUM_THREADS. Each is called in the way its documentation calls fastest.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence

BATCH = 1000
CL100K_PATTERN = (
    r"""'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s"""
)

Encode = Callable[[Sequence[str]], int]
"""Tokenises texts and returns the number of tokens."""


def with_tokenizers(file: str, _threads: int) -> Encode:
    """HF tokenizers, ids only."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(file)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return lambda texts: sum(len(e.ids) for e in tokenizer.encode_batch_fast(texts, add_special_tokens=False))


def with_candidate(file: str, _threads: int) -> Encode:
    """HF tokenizers 1.0, release candidate."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(file)
    plain = {"add_special_tokens": False, "encode_special_tokens": True, "padding": None, "truncation": None}
    return lambda texts: sum(len(encoding.ids) for encoding in tokenizer.encode_batch(texts, **plain))


def with_tiktoken(file: str, threads: int) -> Encode:
    """tiktoken with the ranks read from the tokenizer file: it cannot download them here."""
    import tiktoken

    with open(file, encoding="utf-8") as handle:
        description = json.load(handle)
    special = {token["content"]: token["id"] for token in description["added_tokens"]}
    byte_of = {character: byte for byte, character in byte_alphabet().items()}
    vocabulary = description["model"]["vocab"]
    ranks = {bytes(byte_of[c] for c in word): rank for word, rank in vocabulary.items() if word not in special}
    encoding = tiktoken.Encoding("cl100k", pat_str=CL100K_PATTERN, mergeable_ranks=ranks, special_tokens=special)
    return lambda texts: sum(map(len, encoding.encode_ordinary_batch(list(texts), num_threads=threads)))


def byte_alphabet() -> dict[int, str]:
    """The character that byte-level BPE files (GPT-2, Radford et al. 2019) write for each byte."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    alphabet = {byte: chr(byte) for byte in printable}
    others = (byte for byte in range(256) if byte not in alphabet)
    return alphabet | {byte: chr(256 + index) for index, byte in enumerate(others)}


PEERS = {"tokenizers": with_tokenizers, "candidate": with_candidate, "tiktoken": with_tiktoken}


def main() -> None:
    """Measures one peer."""
    peer, corpus, file, threads = sys.argv[1:]
    encode = PEERS[peer](file, int(threads))
    with open(corpus, encoding="utf-8", newline="\n") as lines:
        texts = [json.loads(line)["text"] for line in lines]
    started = time.perf_counter()
    tokens = sum(encode(texts[at : at + BATCH]) for at in range(0, len(texts), BATCH))
    seconds = time.perf_counter() - started
    print(json.dumps({"bytes": sum(len(text.encode()) for text in texts), "tokens": tokens, "seconds": seconds}))


if __name__ == "__main__":
    main()
