"""A pipeline that runs while the training does, from its second epoch on, against the run that it would have written."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from typing import Any

from bench.measure import Measurement
from bench.sides import STREAMING_PYTHON, TOKENIZE, Comparison, Reading, Scenario, Session, Side, pipeline

COPIES = 4
"""Of the corpus: 1 GB of ids, more than any cache holds, and few enough that one worker makes them in half a minute."""
SEED = "7"
STEPS = f"{TOKENIZE}\n  - pack: {{{{ length: 2048 }}}}"
GRISTMILL = "node bin/gristmill.js"

NOTES = {
    "prepared": "shuffles over all sequences, which is harder on the processor's caches",
    "prepared, blocks": "shuffles among as many sequences at a time as fly does",
    "fly, second epoch": "verifies each MiB that it reads, as the first epoch of a prepared run does",
    "fly, first epoch": "includes starting Node.js and loading the tokenizer",
}


def scenarios(session: Session) -> list[Scenario]:
    """Rates in GB/s of ids; of the first epoch in MB/s of text."""
    copies = 1 if session.input == session.inputs.once else COPIES
    folder = f".cache/bench/feed-fly-{session.inputs.origin}-{copies}-v1"
    file = _make(session, folder, copies)
    text_bytes = copies * session.inputs.text_bytes[session.inputs.once]
    peer = [STREAMING_PYTHON, "bench/peers/feed_fly.py"]
    prepared = _side("prepared", [*peer, "prepared", f"{folder}/run", SEED], _later)
    verified = _side("prepared, first epoch", prepared.command, lambda result: _rate(result, 0), of=prepared.name)
    blocks = _side("prepared, blocks", [*peer, "blocks", f"{folder}/run", SEED], _later)
    cache = f"{folder}/cache"
    fly = _side("fly", [*peer, "fly", file, cache, SEED], _later, out=session.root / cache, env={"GRISTMILL_CLI": GRISTMILL})
    second = _side("fly, second epoch", fly.command, lambda result: _rate(result, 1), of=fly.name, env=fly.env)
    first = _side(
        "fly, first epoch",
        fly.command,
        lambda result: text_bytes / 1e6 / (result["opening"] + result["seconds"][0]),
        of=fly.name,
        env=fly.env,
        unit="MB/s of text",
    )
    return [
        Scenario(
            name="feed-fly",
            title="Shuffled sequences of 2,048 in batches of 64 from a pipeline with one worker and its cache, int32 tokens",
            unit="GB/s",
            sides=(prepared, verified, blocks, fly, second, first),
            comparisons=(
                Comparison("fly over prepared, epochs after the second", fly.name, prepared.name, 0.9),
                Comparison("the same, both shuffled in blocks", fly.name, blocks.name, 0.9),
                Comparison("second epoch of fly over first of prepared", second.name, verified.name, 0.9),
                Comparison("second epoch of fly over later ones of prepared", second.name, prepared.name, None),
            ),
        )
    ]


def _make(session: Session, folder: str, copies: int) -> str:
    """The pipeline over so many copies of the corpus, and the run of it, unless it is there; returns the file."""
    data = session.root / folder / "data"
    data.mkdir(parents=True, exist_ok=True)
    for copy in range(copies):
        if not (data / f"{copy}.jsonl").exists():
            os.link(session.root / session.inputs.once, data / f"{copy}.jsonl")
    file = pipeline(session, f"bench-feed-fly-{copies}", f"{folder}/data/*.jsonl", STEPS)
    # The manifest is written last; a run that was interrupted goes on.
    if not (session.root / folder / "run/manifest.json").exists():
        command = [*GRISTMILL.split(), "run", file, "--out", f"{folder}/run", "--quiet"]
        subprocess.run(command, cwd=session.root, check=True)
    return file


def _side(name: str, command: Sequence[str], rate: Callable[[dict], float], **options: Any) -> Side:
    def read(measured: Measurement) -> Reading:
        result = json.loads(measured.stdout.splitlines()[-1])
        # What is read once more has been compared already.
        return Reading(value=rate(result), tokens=None if "of" in options else result["tokens"])

    return Side(name=name, command=command, read=read, note=NOTES.get(name, ""), **options)


def _rate(result: dict, epoch: int) -> float:
    return result["bytes"] / 1e9 / result["seconds"][epoch]


def _later(result: dict) -> float:
    """The fastest of the epochs after the second."""
    return result["bytes"] / 1e9 / min(seconds for seconds in result["seconds"][2:] if seconds is not None)
