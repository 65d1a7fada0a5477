"""Runs that several tests read."""

from __future__ import annotations

from pathlib import Path

import pytest
from runs import Run, random_documents, write_run


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has a cache folder of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache-home"))


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """101 or so sequences of 32 in three shards."""
    path: Path = tmp_path_factory.mktemp("runs") / "small"
    return write_run(path, random_documents(160, 40), 32, shards=3)


@pytest.fixture(scope="session")
def wide_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Ids of 32 bits."""
    path: Path = tmp_path_factory.mktemp("runs") / "wide"
    return write_run(path, random_documents(90, 70, 1, 200_000), 32, wide=True, vocabulary=200_000)
