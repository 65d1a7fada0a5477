"""Sequences to one Python process, against a bare gather of the same rows; opening and resuming a huge run."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable

from bench.measure import Measurement
from bench.sides import PYTHON, Comparison, Reading, Scenario, Session, Side

RUN, SPARSE = ".cache/bench/feed-v1", ".cache/bench/feed-sparse-v1"
SEQUENCES = 32_768
"""256 MiB of ids: more than any cache holds."""
SPARSE_SEQUENCES = 4_882_813
"""Ten billion ids of 2,048 a sequence."""
SEED = "7"


def scenarios(session: Session) -> list[Scenario]:
    """Rates in GB/s of what the trainer gets; the two starts in milliseconds."""
    make(session, "make", RUN, SEQUENCES)
    make(session, "sparse", SPARSE, SPARSE_SEQUENCES)
    gather, loader = _side("gather", RUN, _rate), _side("loader", RUN, _rate)
    gather_all, loader_all = _side("gather-all", RUN, _rate), _side("loader-all", RUN, _rate)
    opening, resume = _side("open", SPARSE, _milliseconds), _side("resume", SPARSE, _milliseconds)
    return [
        Scenario(
            name="feed",
            title="Shuffled sequences of 2,048 in batches of 64 to one process, int32 tokens, against numpy.take",
            unit="GB/s",
            sides=(gather, loader),
            comparisons=(
                Comparison("loader", loader.name, None, 6.0),
                Comparison("loader over bare gather", loader.name, gather.name, 0.55),
            ),
        ),
        Scenario(
            name="feed-all",
            title="The same as int64 tokens, labels and positions",
            unit="GB/s",
            sides=(gather_all, loader_all),
            comparisons=(Comparison("loader over bare gather, all fields", loader_all.name, gather_all.name, 0.55),),
        ),
        Scenario(
            name="feed-start",
            title="From Loader() to the first batch of ten billion ids, and resuming in the midst of their epoch",
            unit="ms",
            sides=(opening, resume),
            comparisons=(
                Comparison("Loader() to first batch", opening.name, None, 1000.0, at_most=True),
                Comparison("resume", resume.name, None, 200.0, at_most=True),
            ),
            agreement=None,
        ),
    ]


def make(session: Session, kind: str, folder: str, sequences: int) -> None:
    """Writes a run, unless it is there."""
    # The manifest is written last, so that it marks a complete run.
    if not (session.root / folder / "manifest.json").exists():
        shutil.rmtree(session.root / folder, ignore_errors=True)
        command = [PYTHON, "bench/peers/feed.py", kind, folder, str(sequences)]
        subprocess.run(command, cwd=session.root, check=True)


def _side(name: str, folder: str, read: Callable[[Measurement], Reading]) -> Side:
    note = "knows nothing of documents, checksums or what a trainer still holds" if name.startswith("gather") else ""
    return Side(name=name, command=[PYTHON, "bench/peers/feed.py", name, folder, SEED], read=read, note=note)


def _rate(measured: Measurement) -> Reading:
    result = json.loads(measured.stdout.splitlines()[-1])
    return Reading(value=result["bytes"] / 1e9 / result["seconds"], tokens=result["tokens"])


def _milliseconds(measured: Measurement) -> Reading:
    return Reading(value=json.loads(measured.stdout.splitlines()[-1])["seconds"] * 1000)
