"""These tests need PyTorch, which is several GB, so they are a group of their own: `pip install torch torchdata`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # the writer of runs


@pytest.fixture(autouse=True, scope="session")
def own_temporary_directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Streaming leaves lock files in the temporary directory, PyTorch folders; pytest takes these away."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("temporary")))
        patch.setattr(tempfile, "tempdir", None)
        yield
