"""A table made ready for training, one core each: gaps filled, numbers scaled, categories encoded.

Both sides read one Parquet file, find medians, means, ranges and categories in all rows, and write Parquet. The peer
holds the table in memory as pandas does; we write it to scratch files between finding and applying.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from bench.measure import Measurement
from bench.sides import PYTHON, Comparison, Reading, Scenario, Session, Side, gristmill

ROWS = 2_000_000
QUICK_ROWS = 200_000
NUMBERS = tuple(f"n{at}" for at in range(8))
CATEGORIES = ("city", "kind", "grade")


def scenarios(session: Session) -> list[Scenario]:
    """Samples (rows of eleven columns) a second of the whole process."""
    rows = QUICK_ROWS if session.input == session.inputs.once else ROWS
    table = f".cache/bench/table-{rows}-v1.parquet"
    if not (session.root / table).exists():
        command = [PYTHON, "bench/peers/tabular.py", "make", table, str(rows)]
        subprocess.run(command, cwd=session.root, check=True)

    def of_peer(measured: Measurement) -> Reading:
        return Reading(value=rows / measured.wall_seconds, tokens=json.loads(measured.stdout)["check"])

    def of_run(run: Path, measured: Measurement) -> Reading:
        return Reading(value=rows / measured.wall_seconds, tokens=_check(run))

    out = session.root / ".cache/bench/runs/tabular-sklearn"
    theirs = Side(
        name="scikit-learn, 1 thread",
        command=[PYTHON, "bench/peers/tabular.py", "sklearn", table, str(out.relative_to(session.root))],
        read=of_peer,
        env={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        out=out,
        note="holds the whole table in memory and writes no checksums",
    )
    ours = gristmill(session, "gristmill tabular, 1 worker", _pipeline(session, table), 1, of_run)
    return [
        Scenario(
            name="tabular",
            title=f"Median, standard, min-max, one-hot and ordinal over {rows:,} rows of eleven columns",
            unit="samples/s",
            sides=(theirs, ours),
            comparisons=(
                Comparison("samples a second", ours.name, None, 22_000.0),
                Comparison("gristmill over scikit-learn", ours.name, theirs.name, None),
            ),
        )
    ]


def _check(run: Path) -> int:
    """Rows that were written and categories that were found: what the peer counts, too."""
    rows = json.loads((run / "manifest.json").read_text())["totals"]["rowsOut"]
    columns = json.loads((run / "fitted/encode.json").read_text())["columns"]
    return rows + sum(len(column["categories"]) for column in columns)


def _pipeline(session: Session, table: str) -> str:
    file = Path(".cache/bench/tabular.yaml")
    half = len(NUMBERS) // 2
    medians = ", ".join(f"{name}: median" for name in NUMBERS[:half])
    scales = ", ".join(f"{name}: {'standard' if at < half else 'min-max'}" for at, name in enumerate(NUMBERS))
    text = (
        f'name: tabular\nsource: {{ paths: ["../../{table}"], onMissing: empty }}\nsteps:\n  - drop: text\n'
        f"  - missing: {{ columns: {{ {medians} }} }}\n"
        "  - encode: { columns: { city: one-hot, kind: one-hot, grade: ordinal } }\n"
        f"  - scale: {{ columns: {{ {scales} }} }}\n"
        "sink: { format: parquet }\n"
    )
    (session.root / file).write_text(text)
    return str(file)
