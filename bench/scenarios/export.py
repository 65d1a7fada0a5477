"""A run to MDS shards, against MosaicML Streaming's own writer."""

from __future__ import annotations

import json
from pathlib import Path

from bench.measure import Measurement
from bench.scenarios.feed import RUN, SEQUENCES, make
from bench.sides import STREAMING_PYTHON, Comparison, Reading, Scenario, Session, Side

OUT = Path(".cache/bench/export-mds")


def scenarios(session: Session) -> list[Scenario]:
    """Rates in MB/s of shards."""
    make(session, "make", RUN, SEQUENCES)
    writer = _side(session, "MDSWriter", ["writer"], [], "its samples lie ready in memory, and it hashes nothing")
    one = _side(session, "export, 1 worker", ["gristmill"], ["1"])
    all_cores = _side(session, f"export, {session.cores} workers", ["gristmill"], [str(session.cores)])
    return [
        Scenario(
            name="export",
            title="Packed sequences of 2,048 to MDS shards of 64 MiB",
            unit="MB/s",
            sides=(writer, one, all_cores),
            comparisons=(
                Comparison("export --to mds, all cores", all_cores.name, writer.name, 5.0),
                Comparison("export --to mds, 1 worker", one.name, writer.name, None),
            ),
        )
    ]


def _side(session: Session, name: str, side: list[str], rest: list[str], note: str = "") -> Side:
    command = [STREAMING_PYTHON, "bench/peers/export_mds.py", *side, RUN, str(OUT), *rest]
    return Side(name=name, command=command, read=_rate, out=session.root / OUT, note=note)


def _rate(measured: Measurement) -> Reading:
    result = json.loads(measured.stdout.splitlines()[-1])
    return Reading(value=result["bytes"] / 1e6 / result["seconds"], tokens=result["tokens"])
