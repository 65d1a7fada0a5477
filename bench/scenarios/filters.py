"""Published filters against datatrove's, one core, English prose and the mixed corpus apart.

Both sides time what is between text in memory and verdicts. Ours takes every measure of every document
(``mode: annotate``). Unfair to us: datatrove's filters stop at the first rule that fails. Unfair to datatrove: its
words are spaCy's, and it takes a part of the corpus, since all of it would take minutes.
"""

from __future__ import annotations

import json

from bench.measure import Measurement
from bench.sides import PYTHON, Comparison, Reading, Scenario, Session, Side

PEER_MEGABYTES = 2
GROUPS = (
    # Name, steps, megabytes a second to reach on English prose, times datatrove's rate.
    ("gopher", ("gopher-repetition", "gopher-quality"), 60, 80),
    ("c4-fineweb", ("c4-quality", "fineweb-quality"), 150, None),
)
CORPORA = (("en", "English prose"), ("all", "the mixed corpus"))


def scenarios(session: Session) -> list[Scenario]:
    """Gopher's filters; those of C4 and FineWeb."""
    return [_scenario(session, *group, *corpus) for group in GROUPS for corpus in CORPORA]


def _scenario(
    session: Session, group: str, steps: tuple[str, ...], target: float, times: float | None, lang: str, title: str
) -> Scenario:
    corpus = session.inputs.once
    ours = Side(
        name=f"gristmill {group}",
        command=["node", "bench/filters.mjs", corpus, lang, *steps],
        read=_rate,
        note="mode annotate; the fastest of three passes",
    )
    theirs = Side(
        name=f"datatrove {group}",
        command=[PYTHON, "bench/peers/filters.py", corpus, lang, str(PEER_MEGABYTES), *steps],
        read=_rate,
        env={"OMP_NUM_THREADS": "1"},
        note=f"stops at the first failure; the first {PEER_MEGABYTES} MB",
    )
    english = lang == "en"
    return Scenario(
        name=f"filters-{group}-{lang}",
        title=f"{' and '.join(steps)}, {title}",
        unit="MB/s",
        sides=(ours, theirs),
        comparisons=[
            Comparison(f"{group} rate", ours.name, None, target if english else None),
            Comparison("gristmill over datatrove", ours.name, theirs.name, times if english else None),
        ],
        agreement=None,
    )


def _rate(measured: Measurement) -> Reading:
    result = json.loads(measured.stdout.splitlines()[-1])
    return Reading(value=result["bytes"] / 1e6 / result["seconds"])
