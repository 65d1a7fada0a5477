"""Sequences to one Python process: our loader, its peers and a bare gather; pace, mixtures, and starts in a huge run."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable

from bench.measure import Measurement
from bench.sides import PYTHON, STREAMING_PYTHON, Comparison, Reading, Scenario, Session, Side

RUN, SPARSE, DOCUMENTS = ".cache/bench/feed-v1", ".cache/bench/feed-sparse-v1", ".cache/bench/feed-documents-v1"
SEQUENCES = 32_768
"""256 MiB of ids: more than any cache holds."""
SPARSE_SEQUENCES = 4_882_813
"""Ten billion ids of 2,048 a sequence."""
SEED = "7"

NOTES = {
    "gather": "knows nothing of documents, checksums or what a trainer still holds",
    "torch": "no checksums, no state to resume from; the number is that of its worker processes",
    "streaming": "caches, resumes and shuffles as ours; the number is that of its worker processes",
}


def scenarios(session: Session) -> list[Scenario]:
    """Rates in GB/s of what the trainer gets; shares of a core in percent; starts in milliseconds and MB."""
    make(session, "make", RUN, SEQUENCES)
    make(session, "documents", DOCUMENTS, SEQUENCES)
    make(session, "sparse", SPARSE, SPARSE_SEQUENCES)
    gather, loader = _side("gather", RUN, _rate), _side("loader", RUN, _rate)
    peers = [_side(f"{peer}-{workers}", RUN, _rate) for peer in ("torch", "streaming") for workers in (0, 1, 2)]
    gather_all, loader_all = _side("gather-all", RUN, _rate), _side("loader-all", RUN, _rate)
    packed, mixed, buckets = (_side(name, DOCUMENTS, _rate) for name in ("packed", "mixed", "buckets"))
    paced, paced_gather, paced_sleep = (_side(f"paced{of}", RUN, _percent) for of in ("", "-gather", "-sleep"))
    opening, resume = _side("open", SPARSE, _milliseconds), _side("resume", SPARSE, _milliseconds)
    memory = Side(name="open, memory", command=opening.command, read=_megabytes)
    return [
        Scenario(
            name="feed",
            title="Shuffled sequences of 2,048 in batches of 64 to one PyTorch process, int32 tokens",
            unit="GB/s",
            sides=(gather, loader, *peers),
            comparisons=(
                Comparison("loader", loader.name, None, 6.0),
                Comparison("loader over bare gather", loader.name, gather.name, 0.55),
                *(Comparison(f"loader over {peer.name}", loader.name, peer.name, 8.0) for peer in peers),
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
            name="feed-mixed",
            title="Documents packed to 2,048: plainly, from a mixture, and by length from a mixture",
            unit="GB/s",
            sides=(loader, packed, mixed, buckets),
            comparisons=(
                Comparison("packed over whole documents", packed.name, loader.name, 0.85),
                Comparison("mixed over whole documents", mixed.name, loader.name, 0.85),
                Comparison("mixed by length over whole documents", buckets.name, loader.name, 0.85),
            ),
            agreement=None,
        ),
        Scenario(
            name="feed-paced",
            title="What 100 MB/s of int32 tokens take, the sleeping of the loop that takes them included",
            unit="% of a core",
            sides=(paced, paced_gather, paced_sleep),
            comparisons=(
                Comparison("share of a core", paced.name, None, 3.0, at_most=True),
                Comparison("loader alone, less sleeping", paced.name, paced_sleep.name, 3.0, at_most=True, less=True),
                Comparison("bare gather alone, less sleeping", paced_gather.name, paced_sleep.name, None, less=True),
            ),
            agreement=None,
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
        Scenario(
            name="feed-memory",
            title="Memory that Loader() and the first batch of ten billion ids add",
            unit="MB",
            sides=(memory,),
            comparisons=(Comparison("memory", memory.name, None, 300.0, at_most=True),),
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
    command = [STREAMING_PYTHON, "bench/peers/feed.py", name, folder, SEED]
    return Side(name=name, command=command, read=read, note=NOTES.get(name.partition("-")[0], ""))


def _result(measured: Measurement) -> dict:
    return json.loads(measured.stdout.splitlines()[-1])


def _rate(measured: Measurement) -> Reading:
    result = _result(measured)
    return Reading(value=result["bytes"] / 1e9 / result["seconds"], tokens=result["tokens"])


def _percent(measured: Measurement) -> Reading:
    result = _result(measured)
    return Reading(value=100 * result["cpu_seconds"] / result["seconds"])


def _milliseconds(measured: Measurement) -> Reading:
    return Reading(value=_result(measured)["seconds"] * 1000)


def _megabytes(measured: Measurement) -> Reading:
    result = _result(measured)
    return Reading(value=(result["rss"] - result["before"]) / 1e6)
