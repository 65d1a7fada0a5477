"""``datasets.map`` doing the same job: what people use today."""

from __future__ import annotations

import json

from bench.measure import Measurement
from bench.sides import CHAIN, PYTHON, Comparison, Reading, Scenario, Session, Side, gristmill, pipeline, rate_of_run


def scenarios(session: Session) -> list[Scenario]:
    """Two processes against two workers."""
    source = session.input
    text_bytes = session.inputs.text_bytes[source]

    def read(measured: Measurement) -> Reading:
        result = json.loads(measured.stdout.splitlines()[-1])
        return Reading(value=text_bytes / 1e6 / measured.wall_seconds, tokens=result["tokens"])

    out = session.root / ".cache/bench/runs/datasets-map"
    theirs = Side(
        name="datasets.map, 2 processes",
        command=[PYTHON, "bench/peers/datasets_map.py", source, session.inputs.tokenizer, ".cache/bench/runs/datasets-map"],
        read=read,
        # Two processes on two cores: threads inside them would only get in each other's way.
        env={"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_DATASETS_OFFLINE": "1"},
        out=out,
        note="does not shuffle and writes no checksums",
    )
    file = pipeline(session, "bench-against-datasets", source, CHAIN)
    ours = gristmill(session, "gristmill, 2 workers", file, 2, rate_of_run(text_bytes))
    return [
        Scenario(
            name="datasets-map",
            title="The same job with datasets.map (tokenizers 0.23), two processes against two workers",
            unit="MB/s",
            sides=(theirs, ours),
            comparisons=(Comparison("gristmill over datasets.map", ours.name, theirs.name, 25.0),),
        )
    ]
