"""The job of the benchmark's chain with ``datasets``: exact deduplication, tokenise, pack, save.

Usage: datasets_map.py CORPUS.jsonl TOKENIZER.json OUT

Prints one JSON object with the number of tokens. This is the job as its documentation teaches it: batched map
functions on two processes, a fast tokenizer, columns dropped as soon as they are not needed.
"""

from __future__ import annotations

import hashlib
import json
import sys
from itertools import chain
from pathlib import Path

from datasets import Dataset, load_dataset
from tokenizers import Tokenizer

LENGTH = 2048
PROCESSES = 2
BATCH = 1000
END_OF_TEXT = "<|endoftext|>"

corpus, tokenizer_file, out = sys.argv[1:]
tokenizer = Tokenizer.from_file(tokenizer_file)
tokenizer.no_truncation()
tokenizer.no_padding()
tokenizer.encode_special_tokens = True  # special tokens in the text stay plain text
end_of_text = tokenizer.token_to_id(END_OF_TEXT)


def tokenize(rows: dict[str, list[str]]) -> dict[str, list[list[int]]]:
    """Token ids of each text, the end-of-text token appended."""
    encodings = tokenizer.encode_batch_fast(rows["text"], add_special_tokens=False)
    return {"tokens": [[*encoding.ids, end_of_text] for encoding in encodings]}


def hash_text(rows: dict[str, list[str]]) -> dict[str, list[bytes]]:
    """128-bit hash of each text."""
    return {"hash": [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in rows["text"]]}


def pack(rows: dict[str, list[list[int]]]) -> dict[str, list[list[int]]]:
    """Concatenates the documents of a batch and cuts sequences; the remainder of a batch is a short sequence."""
    tokens = list(chain.from_iterable(rows["tokens"]))
    return {"tokens": [tokens[at : at + LENGTH] for at in range(0, len(tokens), LENGTH)]}


def main() -> None:
    """Runs the job."""
    cache = str(Path(out) / "cache")
    rows = load_dataset("json", data_files=corpus, split="train", cache_dir=cache)
    rows = rows.select_columns(["text"])
    hashed = rows.map(hash_text, batched=True, batch_size=BATCH, num_proc=PROCESSES)
    seen: set[bytes] = set()
    kept = [at for at, digest in enumerate(hashed["hash"][:]) if not (digest in seen or seen.add(digest))]
    unique = rows if len(kept) == len(rows) else rows.select(kept)
    tokenized = unique.map(tokenize, batched=True, batch_size=BATCH, num_proc=PROCESSES, remove_columns=["text"])
    packed = tokenized.map(pack, batched=True, batch_size=BATCH, num_proc=PROCESSES)
    packed.save_to_disk(str(Path(out) / "packed"), num_proc=PROCESSES)
    lengths = packed.with_format("arrow")
    tokens = sum(len(batch["tokens"].combine_chunks().flatten()) for batch in lengths.iter(10_000))
    print(json.dumps({"tokens": tokens, "documents": len(unique)}))


if __name__ == "__main__":
    main()
