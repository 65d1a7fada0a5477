"""What is paid before the first row: reported apart from the rates."""

from __future__ import annotations

from pathlib import Path

from bench.measure import Measurement
from bench.sides import CHAIN, TOKENIZE, Comparison, Reading, Scenario, Session, Side, gristmill, pipeline


def scenarios(session: Session) -> list[Scenario]:
    """``--version``, ``explain`` on 10,000 files, and a run over one row."""
    node = ["node", "bin/gristmill.js"]
    explained = pipeline(session, "bench-explain", session.inputs.many_files, CHAIN)
    version = Side(name="gristmill --version", command=[*node, "--version"], read=_milliseconds)
    explain = Side(name="explain, 10,000 files", command=[*node, "explain", explained], read=_milliseconds)
    file = pipeline(session, "bench-one-row", session.inputs.one_row, TOKENIZE)
    note = "the whole process, so an upper bound of tokenizer load to first row"
    one_row = gristmill(session, "run over one row", file, 1, _run_milliseconds, note=note)
    return [
        Scenario(
            name="start-up",
            title="Start-up",
            unit="ms",
            sides=(version, explain, one_row),
            comparisons=(
                Comparison(version.name, version.name, None, 150.0, at_most=True),
                Comparison(explain.name, explain.name, None, 2000.0, at_most=True),
                Comparison(one_row.name, one_row.name, None, 600.0, at_most=True),
            ),
            agreement=None,
        )
    ]


def _milliseconds(measured: Measurement) -> Reading:
    return Reading(value=measured.wall_seconds * 1000)


def _run_milliseconds(_run: Path, measured: Measurement) -> Reading:
    return _milliseconds(measured)
