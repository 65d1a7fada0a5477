"""What is paid before the first row: reported apart from the rates."""

from __future__ import annotations

import json
from pathlib import Path

from bench.measure import Measurement
from bench.sides import CHAIN, TOKENIZE, Comparison, Reading, Scenario, Session, Side, gristmill, pipeline


def scenarios(session: Session) -> list[Scenario]:
    """``--version``, ``explain`` on 10,000 files, a tokenizer's first row, and a whole run over one row."""
    node = ["node", "bin/gristmill.js"]
    explained = pipeline(session, "bench-explain", session.inputs.many_files, CHAIN)
    version = Side(name="gristmill --version", command=[*node, "--version"], read=_milliseconds)
    explain = Side(name="explain, 10,000 files", command=[*node, "explain", explained], read=_milliseconds)
    file = pipeline(session, "bench-one-row", session.inputs.one_row, TOKENIZE)
    first_row = Side(
        name="tokenizer load to first row",
        command=["node", "bench/first-row.mjs", session.inputs.tokenizer],
        read=lambda measured: Reading(value=json.loads(measured.stdout)["seconds"] * 1000),
        note="inside the process, which has loaded its code",
    )
    one_row = gristmill(session, "run over one row", file, 1, _run_milliseconds, note="the whole process")
    return [
        Scenario(
            name="start-up",
            title="Start-up",
            unit="ms",
            sides=(version, explain, first_row, one_row),
            comparisons=(
                Comparison(version.name, version.name, None, 150.0, at_most=True),
                Comparison(explain.name, explain.name, None, 2000.0, at_most=True),
                Comparison(first_row.name, first_row.name, None, 600.0, at_most=True),
                Comparison(one_row.name, one_row.name, None, None),
            ),
            agreement=None,
        )
    ]


def _milliseconds(measured: Measurement) -> Reading:
    return Reading(value=measured.wall_seconds * 1000)


def _run_milliseconds(_run: Path, measured: Measurement) -> Reading:
    return _milliseconds(measured)
