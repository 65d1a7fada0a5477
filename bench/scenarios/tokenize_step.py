"""The tokenise step of the engine against the crate it calls: what does the engine cost?"""

from __future__ import annotations

from pathlib import Path

from bench.measure import Measurement
from bench.sides import TOKENIZE, Comparison, Reading, Scenario, Session, bare, gristmill, metrics_of, pipeline


def scenarios(session: Session) -> list[Scenario]:
    """One scenario: one worker, one thread."""
    text_bytes = session.inputs.text_bytes[session.input]

    def read(run: Path, _measured: Measurement) -> Reading:
        metrics = metrics_of(run)
        steps = [step for stage in metrics["stages"] for step in stage["steps"] if step["step"] == "tokenize"]
        busy = sum(step["busySeconds"] for step in steps)
        return Reading(value=text_bytes / 1e6 / busy, tokens=metrics["totals"]["tokens"])

    file = pipeline(session, "bench-tokenize", session.input, TOKENIZE)
    crate = bare(session, session.input)
    ours = gristmill(session, "tokenize step, 1 worker", file, 1, read)
    return [
        Scenario(
            name="tokenize-step",
            title="The tokenise step against the bare crate, both busy time without reading",
            unit="MB/s",
            sides=(crate, ours),
            comparisons=(Comparison("tokenise step over bare crate", ours.name, crate.name, 0.95),),
        )
    ]
