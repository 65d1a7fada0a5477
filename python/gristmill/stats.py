"""What a loader measured of itself."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Literal, TypedDict

_LOGGER = logging.getLogger("gristmill")


class FeederStats(TypedDict):
    """What came of a pipeline, on this rank."""

    memory_hits: int
    """Tasks whose samples were in memory already, or still mapped."""
    disk_hits: int
    """Tasks whose samples lay in the cache."""
    made: int
    """Tasks whose rows went through the pipeline."""
    damaged: int
    """Files of the cache that were damaged, and made again."""
    rows: int
    """Rows the source gave, in the tasks that were seen."""
    removed: int
    """Those that steps removed."""
    quarantined: int
    """Records that could not be read."""


class Stats(TypedDict):
    """Since the first batch was asked for, on this rank."""

    batches: int
    """Batches handed over."""
    sequences: int
    """Sequences in them."""
    tokens: int
    """Tokens in them, padding left out."""
    padding_share: float
    """Share of their positions that is padding, 0 to 1."""
    truncated_tokens: int
    """Tokens left out, because their document is longer than the longest bucket."""
    seconds: float
    """From the first request to the last batch."""
    batches_per_second: float
    tokens_per_second: float
    stall_seconds: float
    """Time the training loop waited for batches."""
    idle_seconds: float
    """Time a background thread waited for the training loop, on average."""
    busy_seconds: float
    """Time spent making batches, summed over threads."""
    bottleneck: Literal["input", "trainer"] | None
    """``input`` when the training loop waited more than 5 % of the time; ``None`` before the first batch."""
    feeder: FeederStats | None
    """What came of a pipeline; ``None`` for finished runs."""


def describe(stats: Stats) -> str:
    """The statistics in a line."""
    waits = {
        "input": "the input is the bottleneck",
        "trainer": "the trainer is the bottleneck",
        None: "no batch yet",
    }
    feeder = stats["feeder"]
    tasks = (
        ""
        if feeder is None
        else f"; tasks made {feeder['made']}, from the cache {feeder['disk_hits']}, from memory {feeder['memory_hits']}"
        f"; {feeder['quarantined']} of {feeder['rows']} records bad"
    )
    return (
        f"{stats['batches']} batches, {stats['batches_per_second']:.1f}/s, {stats['tokens_per_second']:,.0f} tokens/s, "
        f"{stats['padding_share']:.1%} padding, stalled {stats['stall_seconds']:.1f} s, idle {stats['idle_seconds']:.1f} s "
        f"of {stats['seconds']:.1f} s: {waits[stats['bottleneck']]}{tasks}"
    )


class StatsLog:
    """Writes a line every so many seconds, when batches are asked for."""

    def __init__(self, who: str, seconds: float) -> None:
        self._who = who
        self._seconds = seconds
        self._next = time.monotonic() + seconds

    def tick(self, stats: Callable[[], Stats]) -> None:
        """Writes the line if it is time."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + self._seconds
            _LOGGER.info("%s: %s", self._who, describe(stats()))
