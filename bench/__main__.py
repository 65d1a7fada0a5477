"""``script/bench``: runs the scenarios round by round, prints the figures, writes the raw results."""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path

from bench import machine, report
from bench.inputs import prepare
from bench.measure import Measurement
from bench.scenarios import all_scenarios
from bench.sides import CANDIDATE_PYTHON, PYTHON, STREAMING_PYTHON, Reading, Scenario, Session, run_side

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {
    PYTHON: ["datasets", "pyarrow", "tiktoken", "tokenizers"],
    CANDIDATE_PYTHON: ["tokenizers"],
    STREAMING_PYTHON: ["mosaicml-streaming", "numpy", "torch"],
}


def main() -> None:
    """Parses the arguments and runs what they ask for."""
    arguments = parse_arguments()
    inputs = prepare(ROOT)
    session = Session(
        root=ROOT,
        inputs=inputs,
        input=inputs.once if arguments.quick else inputs.ten,
        input_zst=inputs.once_zst if arguments.quick else inputs.ten_zst,
        cores=len(os.sched_getaffinity(0)),
    )
    scenarios = all_scenarios(session)
    names = [scenario.name for scenario in scenarios]
    if arguments.list:
        width = max(map(len, names)) + 2
        print("\n".join(f"{scenario.name:{width}}{scenario.title}" for scenario in scenarios))
        return
    unknown = [name for name in arguments.only or () if name not in names]
    if unknown:
        raise SystemExit(f"script/bench: no scenario '{unknown[0]}'; there are: {', '.join(names)}")
    rounds = 1 if arguments.quick else arguments.rounds
    started = datetime.now(UTC)
    results = [
        run_scenario(session, scenario, rounds)
        for scenario in scenarios
        if not arguments.only or scenario.name in arguments.only
    ]
    # That of Streaming is made only where its scenario runs.
    pythons = {python: names for python, names in PACKAGES.items() if (ROOT / python).exists()}
    environment = machine.describe(ROOT, pythons) | {
        "startedAt": started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "text": inputs.origin,
        "quick": arguments.quick,
    }
    folder = ROOT / "bench/results" / started.strftime("%Y-%m-%d-%H%M")
    print(f"\nraw results: {report.write(folder, environment, results).relative_to(ROOT)}")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="script/bench", description="Gristmill against its peers.")
    parser.add_argument("--only", action="append", metavar="NAME", help="run this scenario; may be repeated")
    parser.add_argument("--rounds", type=int, default=3, help="times each side is run, in turn (default 3)")
    parser.add_argument("--quick", action="store_true", help="one round on the corpus once instead of ten times")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    return parser.parse_args()


def run_scenario(session: Session, scenario: Scenario, rounds: int) -> report.Result:
    """Runs the sides of a scenario in turn, A B A B …; a side that fails is reported and left out."""
    print(f"\n{scenario.name}: {scenario.title}", flush=True)
    runs: dict[str, list[tuple[Measurement, Reading]]] = {side.name: [] for side in scenario.sides}
    failures: dict[str, str] = {}
    for number in range(1, rounds + 1):
        for side in scenario.sides:
            if side.of in failures:
                failures[side.name] = failures[side.of]
            if side.name in failures:
                continue
            try:
                if side.of is None:
                    measured, reading = run_side(session, side)
                else:
                    measured, _ = runs[side.of][-1]
                    reading = side.read(measured)
            except (RuntimeError, OSError, LookupError, ValueError) as error:
                failures[side.name] = f"{type(error).__name__}: {error}"
                print(f"  round {number}  {side.name}: {failures[side.name]}", flush=True)
                continue
            runs[side.name].append((measured, reading))
            print(f"  round {number}  {side.name}: {report.figure(reading.value, side.unit or scenario.unit)}", flush=True)
    result = report.Result(scenario=scenario, runs=runs, failures=failures)
    print(report.table(result), flush=True)
    return result


if __name__ == "__main__":
    main()
