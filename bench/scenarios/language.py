"""Language identification with lid.176.ftz on whole texts, against fastText itself, one core."""

from __future__ import annotations

import json

from bench.measure import Measurement
from bench.sides import LANGUAGE_MODEL, PYTHON, Comparison, Reading, Scenario, Session, Side

TARGET = 50
"""Megabytes a second and core that are to be reached."""
OVER_FASTTEXT = 6
PEER_MEGABYTES = 20


def scenarios(session: Session) -> list[Scenario]:
    """English prose, and the mixed corpus."""
    return [_scenario(session, "en", "English prose"), _scenario(session, "all", "the mixed corpus")]


def _scenario(session: Session, lang: str, title: str) -> Scenario:
    corpus = session.inputs.once
    ours = Side(
        name="gristmill language",
        command=[".cache/bench/languages", LANGUAGE_MODEL, corpus, lang],
        read=_rate,
        note="the fastest of five passes",
    )
    theirs = Side(
        name="fasttext",
        command=[PYTHON, "bench/peers/language.py", LANGUAGE_MODEL, corpus, lang, str(PEER_MEGABYTES)],
        read=_rate,
        env={"OMP_NUM_THREADS": "1"},
        note=f"line feeds made spaces in Python, since it reads a line; the first {PEER_MEGABYTES} MB",
    )
    return Scenario(
        name=f"language-{lang}",
        title=f"Languages of whole texts by lid.176.ftz, {title}",
        unit="MB/s",
        sides=(ours, theirs),
        comparisons=[
            Comparison("language", ours.name, None, TARGET),
            Comparison("gristmill over fasttext", ours.name, theirs.name, OVER_FASTTEXT),
        ],
        agreement=None,
    )


def _rate(measured: Measurement) -> Reading:
    result = json.loads(measured.stdout.splitlines()[-1])
    return Reading(value=result["bytes"] / 1e6 / result["seconds"])
