"""Speed by script on one core: words, Gopher's filters, languages, MinHash signatures.

Latin and Han are prose of the corpus; the texts of other scripts are composed, see ``bench/script-texts.mjs``. There is
no peer: the figures say what a corpus in a script costs, above all in those whose words are found by dictionary.
"""

from __future__ import annotations

import json
import subprocess

from bench.measure import Measurement
from bench.sides import LANGUAGE_MODEL, Reading, Scenario, Session, Side

FOLDER = ".cache/bench/inputs/scripts-v1"
SCRIPTS = ("Latin", "Cyrillic", "Arabic", "Devanagari", "Hangul", "Han", "Japanese", "Thai", "Lao", "Khmer")
MEASURES = (
    # Name, title, the command but for its last arguments, those arguments.
    ("words", "Words of UAX #29 and the dictionaries, with their hashes", [".cache/bench/cut_words"], []),
    (
        "gopher",
        "gopher-repetition and gopher-quality, words included",
        ["node", "bench/filters.mjs"],
        ["all", "gopher-repetition", "gopher-quality"],
    ),
    ("language", "Languages by lid.176.ftz", [".cache/bench/languages", LANGUAGE_MODEL], ["all"]),
    (
        "signatures",
        "MinHash signatures, 112 permutations, five-word shingles",
        [".cache/bench/minhash_signatures"],
        ["all"],
    ),
)


def scenarios(session: Session) -> list[Scenario]:
    """One scenario a measure, one side a script."""
    # Written last of all.
    if not (session.root / FOLDER / f"{SCRIPTS[-1]}.jsonl").exists():
        command = ["node", "bench/script-texts.mjs", session.inputs.once, FOLDER]
        subprocess.run(command, cwd=session.root, check=True)
    return [_scenario(*measure) for measure in MEASURES]


def _scenario(name: str, title: str, command: list[str], arguments: list[str]) -> Scenario:
    sides = [
        Side(name=script, command=[*command, f"{FOLDER}/{script}.jsonl", *arguments], read=_rate) for script in SCRIPTS
    ]
    return Scenario(
        name=f"scripts-{name}",
        title=f"{title}, by script",
        unit="MB/s",
        sides=sides,
        comparisons=(),
        agreement=None,
    )


def _rate(measured: Measurement) -> Reading:
    result = json.loads(measured.stdout.splitlines()[-1])
    return Reading(value=result["bytes"] / 1e6 / result["seconds"])
