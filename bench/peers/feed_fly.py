"""Reads the same documents from a prepared run, and from a pipeline that runs meanwhile.

Usage: feed_fly.py prepared|blocks RUN SEED
       feed_fly.py fly PIPELINE CACHE SEED

``prepared`` shuffles all sequences, ``blocks`` among eight stretches of as many as a task has, which is what ``fly`` does.
``fly`` has one worker. Its first epoch goes through the pipeline and fills the cache, which must be empty before; all
others come from there. Either side reads int32 tokens in batches of 64 sequences of 2,048, the sequences shuffled, and
prints one JSON object: seconds that opening took, seconds of each epoch, bytes of the ids in an epoch, and a sum over all
ids as a check that both read the same. Ids are counted, and not positions: tasks are packed each by itself, so there is
more padding in what comes from the pipeline.

Both have reasons to be slower in the first epoch that they read from files: pages are mapped, and each MiB is held against
its checksum. For ``prepared`` that is the first epoch, for ``fly`` the second. The third is summed and not timed.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from feed import check_sum, open_loader

SUMMED = 2
"""The epoch that is not timed."""
EPOCHS = 8
TASK = 2_500
"""Sequences that 16 MiB of the corpus give, about."""


def read(runs: Any, seed: int, shuffle: Any) -> dict[str, Any]:
    """Reads the epochs."""
    began = time.perf_counter()
    with open_loader(runs, seed, fields=("tokens",), shuffle=shuffle) as loader:
        opening = time.perf_counter() - began
        seconds: list[float | None] = []
        check = ids = 0
        for epoch in range(EPOCHS):
            if epoch == SUMMED:
                for batch in loader:
                    check += check_sum(batch["tokens"])
                    ids += batch.token_count
                seconds.append(None)
                continue
            began = time.perf_counter()
            for batch in loader:
                batch["tokens"]
            seconds.append(time.perf_counter() - began)
        feeder = loader.stats()["feeder"]
    return {"bytes": 4 * ids, "tokens": check, "opening": opening, "seconds": seconds, "feeder": feeder}


def main() -> None:
    """Measures one side."""
    import torch  # noqa: F401 - its import is no part of opening
    from gristmill import BlockShuffle, Pipeline

    side, *rest, seed = sys.argv[1:]
    runs: Any = Pipeline(rest[0], workers=1, cache=rest[1]) if side == "fly" else rest[0]
    shuffle = BlockShuffle(block=TASK, group=8) if side == "blocks" else True
    result = read(runs, int(seed), shuffle)
    if result["feeder"] is not None and result["feeder"]["made"] == 0:
        raise SystemExit(f"the cache was not empty: {result['feeder']}")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
