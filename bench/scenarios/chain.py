"""JSONL → exact-dedup → tokenize → pack → Megatron: the whole process, start-up, sync and report included."""

from __future__ import annotations

from bench.sides import CHAIN, Comparison, Scenario, Session, Side, bare, gristmill, pipeline, rate_of_run


def scenarios(session: Session) -> list[Scenario]:
    """Plain input, one zstd stream, and input that is mostly duplicates."""
    plain, packed, repeated = session.input, session.input_zst, session.inputs.repeated
    crate = bare(session, plain)
    one, two = (_run(session, "chain", plain, workers) for workers in (1, 2))
    one_zst, two_zst = (_run(session, "chain-zst", packed, workers) for workers in (1, 2))
    duplicates = _run(session, "chain-duplicates", repeated, session.cores)
    return [
        Scenario(
            name="chain",
            title="JSONL to packed shards; bare crate: tokenising alone, on text that is already in memory",
            unit="MB/s",
            sides=(crate, one, two),
            comparisons=(
                Comparison("whole chain over bare crate, one worker", one.name, crate.name, 0.65),
                Comparison("two workers over one", two.name, one.name, 1.9),
            ),
            agreement=0.02,  # the chain removes the documents that occur twice in the corpus
        ),
        Scenario(
            name="chain-zst",
            title="The same from one zstd stream that a single reader decompresses",
            unit="MB/s",
            sides=(one_zst, two_zst),
            comparisons=(Comparison("two workers over one, single-frame zstd", two_zst.name, one_zst.name, 1.7),),
        ),
        Scenario(
            name="chain-duplicates",
            title="The same from ten equal copies: nine tenths are removed as duplicates",
            unit="MB/s",
            sides=(duplicates,),
            comparisons=(Comparison("rate", duplicates.name, None, None),),
            agreement=None,
        ),
    ]


def _run(session: Session, name: str, source: str, workers: int) -> Side:
    file = pipeline(session, f"bench-{name}", source, CHAIN)
    label = f"{name}, {workers} worker{'s' if workers > 1 else ''}"
    return gristmill(session, label, file, workers, rate_of_run(session.inputs.text_bytes[source]))
