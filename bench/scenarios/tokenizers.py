"""Batch encoding with the Python tokenizers against a whole run of ours, one core and all cores.

Unfair to us: the peers time encoding alone, on text that is already in memory; ours is a whole process that
reads, parses, tokenises and writes shards.
"""

from __future__ import annotations

import json

from bench.measure import Measurement
from bench.sides import (
    CANDIDATE_PYTHON,
    PYTHON,
    TOKENIZE,
    Comparison,
    Reading,
    Scenario,
    Session,
    Side,
    gristmill,
    pipeline,
    rate_of_run,
)

PEERS = (
    ("tokenizers 0.23", PYTHON, "tokenizers"),
    ("tokenizers 1.0rc3", CANDIDATE_PYTHON, "candidate"),
    ("tiktoken", PYTHON, "tiktoken"),
)


def scenarios(session: Session) -> list[Scenario]:
    """One core, then all cores."""
    return [_scenario(session, threads) for threads in dict.fromkeys((1, session.cores))]


def _scenario(session: Session, threads: int) -> Scenario:
    source = session.inputs.once
    peers = [_peer(session, *peer, threads) for peer in PEERS]
    file = pipeline(session, "bench-tokenizers", source, TOKENIZE)
    read = rate_of_run(session.inputs.text_bytes[source])
    note = "a whole run, from file to shards; the peers encode text in memory"
    ours = gristmill(session, f"gristmill run, {threads} worker(s)", file, threads, read, note=note)
    return Scenario(
        name=f"tokenizers-{threads}",
        title=f"Encoding the corpus once, {threads} core(s)",
        unit="MB/s",
        sides=(*peers, ours),
        comparisons=[Comparison(f"gristmill over {peer.name}", ours.name, peer.name, None) for peer in peers],
    )


def _peer(session: Session, name: str, python: str, kind: str, threads: int) -> Side:
    source = session.inputs.once

    def read(measured: Measurement) -> Reading:
        result = json.loads(measured.stdout.splitlines()[-1])
        # Ours appends one token to every document.
        tokens = result["tokens"] + session.inputs.documents[source]
        return Reading(value=result["bytes"] / 1e6 / result["seconds"], tokens=tokens)

    return Side(
        name=f"{name}, {threads} thread(s)",
        command=[python, "bench/peers/encode_batch.py", kind, source, session.inputs.tokenizer, str(threads)],
        read=read,
        env={"RAYON_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "true"},
    )
