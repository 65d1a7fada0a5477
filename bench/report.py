"""Turns runs into figures: minimum, median, maximum, ratios, and whether the answers agree."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from bench.measure import Measurement
from bench.sides import Comparison, Reading, Scenario


@dataclass(frozen=True)
class Result:
    """All runs of a scenario."""

    scenario: Scenario
    runs: dict[str, list[tuple[Measurement, Reading]]]
    failures: dict[str, str]

    def values(self, side: str) -> list[float]:
        """The side's values, a round each."""
        return [reading.value for _, reading in self.runs[side]]

    def unit(self, side: str) -> str:
        """What the side's values are."""
        own = next(one.unit for one in self.scenario.sides if one.name == side)
        return own or self.scenario.unit


def figure(value: float, unit: str) -> str:
    """A value with its unit."""
    return f"{value:.1f} {unit}" if value < 100 else f"{value:.0f} {unit}"


def table(result: Result) -> str:
    """The scenario's figures as plain text."""
    scenario = result.scenario
    rows = [("", "min", "median", "max", "peak MB")]
    for side in scenario.sides:
        if values := result.values(side.name):
            peak = max(measured.peak_bytes for measured, _ in result.runs[side.name]) / 1e6
            spread = (min(values), median(values), max(values))
            rows.append((side.name, *(figure(value, result.unit(side.name)) for value in spread), f"{peak:.0f}"))
    lines = columns(rows)
    lines += [f"  {comparison_line(result, comparison)}" for comparison in scenario.comparisons]
    lines += [f"  note: {side.name}: {side.note}" for side in scenario.sides if side.note]
    lines += [f"  {line}" for line in disagreements(result)]
    return "\n".join(lines)


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows with aligned cells, the first flush left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  " + "  ".join(cell.ljust(width) if at == 0 else cell.rjust(width) for at, (cell, width) in enumerate(zip(row, widths, strict=True)))
        for row in rows
    ]


def comparison_values(result: Result, comparison: Comparison) -> list[float]:
    """The figure of each round: the side's value, over the other side's of the same round or less it."""
    values = result.values(comparison.side)
    if comparison.over is None:
        return values
    pairs = zip(values, result.values(comparison.over), strict=False)
    return [value - over if comparison.less else value / over for value, over in pairs]


def comparison_line(result: Result, comparison: Comparison) -> str:
    """A figure, its spread and its target."""
    values = comparison_values(result, comparison)
    if not values:
        return f"{comparison.label}: not measured"
    is_ratio = comparison.over is not None and not comparison.less
    unit = result.unit(comparison.side)
    shape = (lambda value: f"{value:.2f}×") if is_ratio else (lambda value: figure(value, unit))
    line = f"{comparison.label}: {shape(median(values))} ({shape(min(values))} to {shape(max(values))})"
    if comparison.target is None:
        return line
    return f"{line}; to reach: {'≤' if comparison.at_most else '≥'} {shape(comparison.target)}, {verdict(values, comparison)}"


def verdict(values: Sequence[float], comparison: Comparison) -> str:
    """Judges the median."""
    assert comparison.target is not None
    middle = median(values)
    return "reached" if (middle <= comparison.target if comparison.at_most else middle >= comparison.target) else "NOT reached"


def disagreements(result: Result) -> list[str]:
    """What speaks against comparing the sides: failures, other token counts, other bytes."""
    found = [f"FAILED: {side}: {message}" for side, message in result.failures.items()]
    readings = {side: reading for side, runs in result.runs.items() for _, reading in runs}
    tokens = {side: reading.tokens for side, reading in readings.items() if reading.tokens is not None}
    allowed = result.scenario.agreement
    if allowed is not None and tokens:
        apart = 1 - min(tokens.values()) / max(tokens.values())
        counts = ", ".join(f"{side} {count}" for side, count in tokens.items())
        found.append(f"{'answers agree' if apart <= allowed else 'ANSWERS DIFFER'}: tokens {counts}")
    digests = {reading.digest for runs in result.runs.values() for _, reading in runs if reading.digest is not None}
    if digests:
        found.append("all runs wrote the same bytes" if len(digests) == 1 else f"OUTPUTS DIFFER: {sorted(digests)}")
    return found


def write(folder: Path, environment: dict[str, object], results: Sequence[Result]) -> Path:
    """Writes ``raw.json``, ``raw.csv`` and ``summary.txt``; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [row for result in results for row in raw_rows(result)]
    raw = {"environment": environment, "figures": [entry for result in results for entry in figures(result)], "runs": rows}
    (folder / "raw.json").write_text(json.dumps(raw, indent=2, ensure_ascii=False) + "\n")
    with (folder / "raw.csv").open("w", newline="") as file:
        if rows:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    head = "\n".join(f"{key}: {value}" for key, value in environment.items())
    parts = [f"{result.scenario.name}: {result.scenario.title}\n{table(result)}" for result in results]
    (folder / "summary.txt").write_text("\n\n".join([head, *parts]) + "\n")
    return folder


def figures(result: Result) -> list[dict[str, object]]:
    """The comparisons of a scenario as data."""
    entries = []
    for comparison in result.scenario.comparisons:
        if values := comparison_values(result, comparison):
            spread = {"min": min(values), "median": median(values), "max": max(values)}
            entries.append({"scenario": result.scenario.name, **asdict(comparison), **spread})
    return entries


def raw_rows(result: Result) -> list[dict[str, object]]:
    """Every run, a row each."""
    return [
        {
            "scenario": result.scenario.name,
            "side": side.name,
            "round": number,
            "value": reading.value,
            "unit": result.unit(side.name),
            "wallSeconds": measured.wall_seconds,
            "userSeconds": measured.user_seconds,
            "systemSeconds": measured.system_seconds,
            "peakBytes": measured.peak_bytes,
            "tokens": reading.tokens,
            "command": " ".join([*(f"{key}={value}" for key, value in side.env.items()), *side.command]),
        }
        for side in result.scenario.sides
        for number, (measured, reading) in enumerate(result.runs[side.name], 1)
    ]
