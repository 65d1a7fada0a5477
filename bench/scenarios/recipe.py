"""A whole recipe on one core: JSONL → normalize → language → Gopher → C4 → FineWeb → private data → near-duplicates →
tokens → packs, against the same steps in datatrove.

Both rates are megabytes of text of the input over seconds. Ours is the whole process, start-up, sync and report
included. Unfair to us: datatrove neither normalises nor packs, loads its model and spaCy before its clock starts, and drops
Chinese texts for want of English stop words, where ours go on to the end.
Unfair to datatrove: it takes a part of the corpus, since all of it would take half an hour.
"""

from __future__ import annotations

import json

from bench.measure import Measurement
from bench.sides import (
    LANGUAGE_MODEL,
    PYTHON,
    Comparison,
    Reading,
    Scenario,
    Session,
    Side,
    gristmill,
    pipeline,
    rate_of_run,
)

TARGET = 12
OVER_DATATROVE = 100
PEER_MEGABYTES = 3

STEPS = """\
  - normalize: {{ unicode: NFC, controls: strip }}
  - language: {{ model: {model}, keep: [en, zh], guard: off }}
  - gopher-repetition: {{ guard: off }}
  - gopher-quality: {{ guard: off }}
  - c4-quality: {{ guard: off }}
  - fineweb-quality: {{ guard: off }}
  - pii: {{ kinds: [email, ip] }}
  - minhash-dedup: {{}}
  - tokenize: {{ tokenizer: {tokenizer}, append: "<|endoftext|>" }}
  - pack: {{ length: 2048, strategy: best-fit }}"""


def scenarios(session: Session) -> list[Scenario]:
    """The corpus once, through every step."""
    corpus = session.inputs.once
    file = pipeline(session, "bench-recipe", corpus, STEPS)
    ours = gristmill(session, "recipe, 1 worker", file, 1, rate_of_run(session.inputs.text_bytes[corpus]))
    arguments = [LANGUAGE_MODEL, session.inputs.tokenizer, corpus, str(PEER_MEGABYTES), ".cache/bench/datatrove-recipe"]
    theirs = Side(
        name="datatrove recipe",
        command=[PYTHON, "bench/peers/recipe.py", *arguments],
        read=_rate,
        env={"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
        note=f"neither normalises nor packs; the first {PEER_MEGABYTES} MB, without start-up",
    )
    return [
        Scenario(
            name="recipe",
            title="A whole recipe from JSONL to packs on one core",
            unit="MB/s",
            sides=(ours, theirs),
            comparisons=[
                Comparison("recipe rate", ours.name, None, TARGET),
                Comparison("gristmill over datatrove", ours.name, theirs.name, OVER_DATATROVE),
            ],
            agreement=None,
        )
    ]


def _rate(measured: Measurement) -> Reading:
    result = json.loads(measured.stdout.splitlines()[-1])
    return Reading(value=result["bytes"] / 1e6 / result["seconds"])
