"""Asks datatrove about documents: {"texts", "steps", "sentences", "bad_words"} in, for each text what its filters
measure and decide out.

The values come from datatrove's helper functions, since its filters stop at the first failure; the decisions come
from the filters themselves. Words are what `str.split` gives, so that both sides split alike; sentences are
spaCy's (blank English with the sentencizer), as datatrove has them.
"""
import json
import re
import sys
import tempfile

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4BadWordsFilter,
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.pipeline.filters import c4_filters
from datatrove.pipeline.filters.gopher_quality_filter import STOP_WORDS
from datatrove.pipeline.filters.gopher_repetition_filter import (
    find_all_duplicate,
    find_duplicates,
    find_top_duplicate,
    get_n_grams,
)
from datatrove.utils.text import PUNCTUATION_SET, TERMINAL_PUNCTUATION
from datatrove.utils.word_tokenizers import SpaCyTokenizer, WordTokenizer


class WhiteSpace(WordTokenizer):
    """Words of `str.split`, sentences of spaCy."""

    def __init__(self) -> None:
        super().__init__()
        self._spacy = SpaCyTokenizer("en")

    def word_tokenize(self, text: str) -> list[str]:
        return text.split()

    def sent_tokenize(self, text: str) -> list[str]:
        return self._spacy.sent_tokenize(text)

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return self._spacy.span_tokenize(text)


def share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def gopher_quality(text: str) -> dict:
    words = text.split()
    plain = [w for w in words if any(c not in PUNCTUATION_SET for c in w)]
    lines = text.splitlines()
    bullets = sum(s.lstrip().startswith("•") or s.lstrip().startswith("-") for s in lines)
    ellipses = sum(s.rstrip().endswith("...") or s.rstrip().endswith("…") for s in lines)
    return {
        "words": len(plain),
        "mean_word_length": float(np.mean([len(w) for w in plain])) if plain else None,
        "hash_ratio": share(text.count("#"), len(words)),
        "ellipsis_ratio": share(text.count("...") + text.count("…"), len(words)),
        "bullet_lines": share(bullets, len(lines)),
        "ellipsis_lines": share(ellipses, len(lines)),
        "alphabetic_words": share(sum(any(c.isalpha() for c in w) for w in words), len(words)),
        "stop_words": len(set(STOP_WORDS) & set(words)),
    }


def gopher_repetition(text: str) -> dict:
    if not text:
        return {"characters": 0}
    paragraphs = re.compile(r"\n{2,}").split(text.strip())
    lines = re.compile("\n+").split(text)
    words = text.split()
    values: dict = {"characters": len(text)}
    number, size = find_duplicates(paragraphs)
    values["duplicate_paragraphs"] = number / len(paragraphs)
    values["duplicate_paragraph_characters"] = size / len(text)
    number, size = find_duplicates(lines)
    values["duplicate_lines"] = number / len(lines)
    values["duplicate_line_characters"] = size / len(text)
    for n in (2, 3, 4):
        grams = get_n_grams(words, n)
        values[f"top_{n}_gram"] = find_top_duplicate(grams) / len(text) if grams else None
    for n in range(5, 11):
        values[f"duplicate_{n}_grams"] = find_all_duplicate(words, n) / len(text)
    return values


def fineweb_quality(text: str) -> dict:
    lines = [line for line in text.split("\n") if line.strip() != ""]
    if not lines:
        return {"lines": 0}
    return {
        "lines": len(lines),
        "terminal_lines": sum(line.endswith(tuple(TERMINAL_PUNCTUATION)) for line in lines) / len(lines),
        "short_lines": sum(len(line) <= 30 for line in lines) / len(lines),
        "duplicate_line_characters": find_duplicates(lines)[1] / len(text.replace("\n", "")),
        "line_feeds": share(text.count("\n"), len(text.split())),
    }


def sentences(words: WhiteSpace, text: str) -> int:
    """Sentences of all lines, each stripped as C4's filter does it."""
    lines = (line.strip() for line in text.splitlines())
    return sum(len(words.span_tokenize(line)) for line in lines if line)


def bad_words_filter(words: list[str]) -> C4BadWordsFilter:
    """C4's filter with a list of ours where it would download one."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as file:
        file.write("\n".join(words))
        file.flush()
        c4_filters.cached_asset_path_or_download = lambda *_args, **_more: file.name
        step = C4BadWordsFilter()
        step._get_badwords("en")  # read now: the file goes
        return step


def decision(step, text: str) -> list:
    """[None, text] of a document that stays, [reason] of one that leaves."""
    document = Document(text=text, id="")
    try:
        result = step.filter(document)
    except ZeroDivisionError:
        return ["division by zero"]
    return [None, document.text] if result is True else [result[1]]


def main() -> None:
    words = WhiteSpace()
    steps = {
        "gopher-quality": GopherQualityFilter(language=words),
        "gopher-repetition": GopherRepetitionFilter(language=words),
        "c4-quality": C4QualityFilter(language=words),
        "fineweb-quality": FineWebQualityFilter(language=words),
    }
    measures = {
        "gopher-quality": gopher_quality,
        "gopher-repetition": gopher_repetition,
        "fineweb-quality": fineweb_quality,
    }
    wanted = json.load(sys.stdin)
    steps["bad-words"] = bad_words_filter(wanted["bad_words"])
    answers = {}
    for name in wanted["steps"]:
        answers[name] = [
            {"values": measures[name](text) if name in measures else None, "decision": decision(steps[name], text)}
            for text in wanted["texts"]
        ]
    answers["sentences"] = [sentences(words, text) for text in wanted.get("sentences", [])]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
