"""Every scenario, in the order in which they run. A module holds one and exports ``scenarios(session)``."""

from __future__ import annotations

from bench.scenarios import (
    chain,
    datasets_map,
    export,
    feed,
    feed_fly,
    filters,
    language,
    memory,
    minhash,
    recipe,
    scripts,
    start_up,
    tabular,
    tokenize_step,
    tokenizers,
)
from bench.sides import Scenario, Session

MODULES = (
    tokenize_step,
    chain,
    datasets_map,
    tokenizers,
    filters,
    language,
    minhash,
    scripts,
    recipe,
    tabular,
    feed,
    feed_fly,
    export,
    memory,
    start_up,
)


def all_scenarios(session: Session) -> list[Scenario]:
    """All scenarios of a session."""
    return [scenario for module in MODULES for scenario in module.scenarios(session)]
