"""Ids by Hugging Face `tokenizers` and by `tiktoken`, to hold ours against.

Reads {"cases": [{"tool", "path", "matchSpecial", "addSpecial"}], "texts": [...]} from standard input and
prints the ids of every text for every case. `tokenizers` reads a tokenizer.json; `tiktoken` an encoder of
the npm package of that name, which carries the ranks that the Python package would download.
"""

import base64
import json
import sys

import tiktoken
from tokenizers import Tokenizer


def hugging_face(case, texts):
    tokenizer = Tokenizer.from_file(case["path"])
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = not case["matchSpecial"]
    encodings = tokenizer.encode_batch(texts, add_special_tokens=case["addSpecial"])
    return [encoding.ids for encoding in encodings]


def ranks(text):
    for line in text.splitlines():
        _, first, *tokens = line.split()
        for rank, token in enumerate(tokens, int(first)):
            yield base64.b64decode(token), rank


def open_ai(case, texts):
    with open(case["path"], encoding="utf-8") as file:
        encoder = json.load(file)
    encoding = tiktoken.Encoding(
        "oracle",
        pat_str=encoder["pat_str"],
        mergeable_ranks=dict(ranks(encoder["bpe_ranks"])),
        special_tokens=encoder["special_tokens"],
    )
    if case["matchSpecial"]:
        return [encoding.encode(text, allowed_special="all") for text in texts]
    return [encoding.encode_ordinary(text) for text in texts]


TOOLS = {"tokenizers": hugging_face, "tiktoken": open_ai}
request = json.load(sys.stdin)
print(json.dumps([TOOLS[case["tool"]](case, request["texts"]) for case in request["cases"]]))
