"""MinHash signatures against rensa and datatrove, one core, English prose and the mixed corpus apart; and the time,
memory and disk of finding the components of 20 million rows' band keys.

All sides time what is between text in memory and signatures. Unfair to us: rensa's side does not simplify texts.
Unfair to datatrove: its words are spaCy's, and it takes a part of the corpus, since all of it would take minutes.
"""

from __future__ import annotations

import json

from bench.measure import Measurement
from bench.sides import PYTHON, Comparison, Reading, Scenario, Session, Side

PERMUTATIONS_TARGET = 250
"""Megabytes a second and core that are to be reached."""
RENSA_TARGET = 6
"""Times rensa's rate."""
CLUSTER_SECONDS = 120
CLUSTER_BYTES = 2 * 2**30
PEER_MEGABYTES = {"rensa": 100, "datatrove": 4}


def scenarios(session: Session) -> list[Scenario]:
    """Signatures of two corpora, and components."""
    return [
        _signatures(session, "en", "English prose"),
        _signatures(session, "all", "the mixed corpus"),
        *_components(session),
    ]


def _signatures(session: Session, lang: str, title: str) -> Scenario:
    corpus = session.inputs.once
    ours = Side(
        name="gristmill signatures",
        command=[".cache/bench/minhash_signatures", corpus, lang],
        read=_rate,
        note="texts simplified as datatrove does; the fastest of five passes",
    )
    peers = [_peer(corpus, lang, kind) for kind in PEER_MEGABYTES]
    return Scenario(
        name=f"minhash-{lang}",
        title=f"MinHash signatures, 112 permutations, five-word shingles, {title}",
        unit="MB/s",
        sides=(ours, *peers),
        comparisons=[
            Comparison("signatures", ours.name, None, PERMUTATIONS_TARGET),
            Comparison("gristmill over rensa", ours.name, peers[0].name, RENSA_TARGET),
            Comparison("gristmill over datatrove", ours.name, peers[1].name, None),
        ],
        agreement=None,
    )


def _peer(corpus: str, lang: str, kind: str) -> Side:
    megabytes = PEER_MEGABYTES[kind]
    command = [PYTHON, "bench/peers/minhash.py", kind, corpus, lang, str(megabytes)]
    # One core: rensa would take them all.
    env = {"RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return Side(name=kind, command=command, read=_rate, env=env, note=f"the first {megabytes} MB at most")


def _rate(measured: Measurement) -> Reading:
    result = json.loads(measured.stdout.splitlines()[-1])
    return Reading(value=result["bytes"] / 1e6 / result["seconds"])


def _components(session: Session) -> list[Scenario]:
    rows, bands = ("20", "14") if session.input != session.inputs.once else ("2", "14")
    command = [".cache/bench/cluster_keys", ".cache/bench/cluster-keys", rows, bands]

    def scenario(name: str, unit: str, value: str, target: float | None) -> Scenario:
        def read(measured: Measurement) -> Reading:
            result = json.loads(measured.stdout.splitlines()[-1])
            result["memory_estimate_error"] = result["peak_bytes"] / result["estimated_memory_bytes"] - 1
            result["disk_estimate_error"] = result["disk_bytes"] / result["estimated_disk_bytes"] - 1
            return Reading(value=abs(result[value]))

        side = Side(name=f"gristmill {name}", command=command, read=read)
        return Scenario(
            name=f"minhash-{name}",
            title=f"Components of {rows} million rows with {bands} band keys: {name}",
            unit=unit,
            sides=(side,),
            comparisons=[Comparison(name, side.name, None, target, at_most=True)],
            agreement=None,
        )

    return [
        scenario("components-seconds", "s", "seconds", CLUSTER_SECONDS),
        scenario("components-memory", "bytes", "peak_bytes", CLUSTER_BYTES),
        scenario("components-memory-estimate", "share", "memory_estimate_error", 0.2),
        scenario("components-disk-estimate", "share", "disk_estimate_error", 0.2),
    ]
