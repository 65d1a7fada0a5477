"""Peak memory of the chain: flat in the size of the input, and the same bytes under a tight budget."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bench.measure import Measurement
from bench.sides import CHAIN, Comparison, Reading, Scenario, Session, gristmill, metrics_of, pipeline

TIGHT = ("--memory", "512MiB")
TARGET_MB = 700.0


def scenarios(session: Session) -> list[Scenario]:
    """0.2 GB and 2 GB, default budget and 512 MiB."""
    return [
        _scenario(session, name, source)
        for name, source in (("memory-small", session.inputs.once), ("memory-large", session.inputs.ten))
    ]


def _scenario(session: Session, name: str, source: str) -> Scenario:
    file = pipeline(session, f"bench-{name}", source, CHAIN)
    sides = [
        gristmill(session, f"{name}, {budget}", file, session.cores, _read, flags)
        for budget, flags in (("default budget", ()), ("512MiB", TIGHT))
    ]
    text = session.inputs.text_bytes[source] / 1e9
    return Scenario(
        name=name,
        title=f"Peak memory, all processes and mapped pages, {text:.1f} GB of text, {session.cores} workers",
        unit="MB",
        sides=sides,
        comparisons=[Comparison(side.name, side.name, None, TARGET_MB, at_most=True) for side in sides],
    )


def _read(run: Path, measured: Measurement) -> Reading:
    return Reading(
        value=measured.peak_bytes / 1e6, tokens=metrics_of(run)["totals"]["tokens"], digest=digest_of_outputs(run)
    )


def digest_of_outputs(run: Path) -> str:
    """One hash of names and contents below shards/, packs/ and removed/."""
    digest = hashlib.blake2b(digest_size=16)
    for folder in ("shards", "packs", "removed"):
        for file in sorted(path for path in (run / folder).rglob("*") if path.is_file()):
            digest.update(str(file.relative_to(run)).encode())
            with file.open("rb") as content:
                while block := content.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()
