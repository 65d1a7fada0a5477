"""These tests need PyTorch, which is several GB, so they are a group of their own: `pip install torch torchdata`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))  # the writer of runs
