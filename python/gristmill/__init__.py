"""Gristmill feeds training loops from packed shards.

>>> from gristmill import Loader
>>> with Loader("runs/corpus", batch_size=16, seq_len=2048, seed=7) as loader:
...     for batch in loader:
...         ...  # batch["tokens"], batch["labels"]
"""

from .batch import Batch
from .cache import Cache, CacheStats
from .errors import GristmillError
from .loader import Loader
from .options import AutoBatch, BlockShuffle, Component, Difficulty, Mesh, Mixture, Pipeline, Stage
from .stats import Stats

__all__ = [
    "AutoBatch",
    "Batch",
    "BlockShuffle",
    "Cache",
    "CacheStats",
    "Component",
    "Difficulty",
    "GristmillError",
    "Loader",
    "Mesh",
    "Mixture",
    "Pipeline",
    "Stage",
    "Stats",
]
__version__ = "0.1.0"
