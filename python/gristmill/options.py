"""What a loader can be told, as values; they are checked where they are used, in the native code."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Union

import numpy as np

from .errors import GristmillError

Path = Union[str, "os.PathLike[str]"]
FieldName = Literal[
    "tokens",
    "labels",
    "position_ids",
    "loss_mask",
    "attention_mask",
    "cu_seqlens",
    "max_seqlen",
    "sample_ids",
    "dataset_ids",
]

#: The matrices, which can be made in the background, and what they are stored as when nothing is said.
DTYPES = {
    "tokens": "int32",
    "labels": "int64",
    "position_ids": "int64",
    "loss_mask": "bool",
    "attention_mask": "bool",
}


@dataclass(frozen=True)
class BlockShuffle:
    """Shuffles blocks of samples, and samples within groups of blocks: for storage on which far-apart reads are dear.

    Args:
        block: Samples that stay near each other; they lie together in the shards.
        group: Blocks among which samples are shuffled. A larger one mixes better and reads more places at a time.
    """

    block: int = 256
    group: int = 64


@dataclass(frozen=True)
class Mesh:
    """Sizes of the parallel axes. Ranks count with ``tp`` fastest, then ``cp``, ``dp`` and ``pp``.

    Ranks that differ in ``tp`` and ``pp`` alone get the same batches; ranks along ``cp`` get consecutive slices of
    the same sequences.
    """

    dp: int = 1
    tp: int = 1
    pp: int = 1
    cp: int = 1

    @property
    def world_size(self) -> int:
        """Ranks of the mesh."""
        return self.dp * self.tp * self.pp * self.cp


@dataclass(frozen=True)
class Component:
    """A run in a mixture.

    Args:
        run: The run directory.
        weight: Its share of the samples, in any unit.
        tokens: How many tokens of it an epoch shall have; instead of weights, and for all components or none.
    """

    run: Path
    weight: float | None = None
    tokens: int | None = None


@dataclass(frozen=True)
class Stage:
    """Other weights from some point of the training on.

    Args:
        after_tokens: Tokens seen before it, all ranks and epochs together, counted as full sequences.
        weights: A weight for each component.
    """

    after_tokens: int
    weights: Sequence[float]


@dataclass(frozen=True)
class Mixture:
    """Several runs, drawn from in fixed shares.

    Without weights and token budgets shares follow the sizes, to the power of 1 / ``temperature``.

    Args:
        components: The runs.
        temperature: 1 keeps the sizes' proportions, more evens them out.
        tokens: Tokens of an epoch; by default the components' budgets, else all their tokens.
        stages: A curriculum.

    Example:
        >>> Mixture([Component("runs/web", weight=3), Component("runs/code", weight=1)], tokens=10_000_000_000)
    """

    components: Sequence[Component]
    temperature: float | None = None
    tokens: int | None = None
    stages: Sequence[Stage] = ()


@dataclass(frozen=True)
class Pipeline:
    """A pipeline that runs while the training does, instead of a finished run.

    Node.js and the command ``gristmill`` run it, in a process of their own that ends with the loader. The command is
    taken from ``GRISTMILL_CLI``, PATH, the nearest ``node_modules/.bin`` or a checkout around, in this order.

    Args:
        file: The pipeline file: ``.yaml``, ``.json``, ``.ts`` or ``.js``. Its steps must work row by row; the last
            may be ``pack``.
        set: Values of the file that are changed, by key path, as in ``{"source.paths": "b.jsonl"}``.
        task_bytes: Bytes of text in a task, about: what is read, packed and kept as a whole.
        group: Tasks among which samples are shuffled. More mix better, take longer to the first batch, and take more
            memory: two groups are in memory at a time.
        cache: Where finished tasks are kept for later epochs, restarts and the other ranks of this machine: a folder, or
            ``True`` for the user's cache folder, ``gristmill`` below ``XDG_CACHE_HOME`` or ``~/.cache``. With ``False``
            each rank makes everything itself, in each epoch anew.
        cache_bytes: How much may lie there; what was not used for longest goes first.
        workers: Threads that make samples; by default the cores, divided by ``LOCAL_WORLD_SIZE``.
    """

    file: Path
    set: Mapping[str, Any] = field(default_factory=dict)
    task_bytes: int = 16 << 20
    group: int = 8
    cache: Path | bool = True
    cache_bytes: int = 64 << 30
    workers: int | None = None

    def cache_folder(self) -> str | None:
        """Where finished tasks are kept."""
        if isinstance(self.cache, bool):
            home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
            return os.path.join(home, "gristmill", "tasks") if self.cache else None
        return os.path.abspath(self.cache)


def describe_runs(runs: Path | Mixture | Pipeline) -> dict[str, Any]:
    """The part of the native configuration that says what is read."""
    if isinstance(runs, Pipeline):
        cache = {"cache": runs.cache_folder(), "cache_bytes": runs.cache_bytes}
        return {"datasets": [], "mixture": None, "pipeline": {"group": runs.group, **cache}}
    if not isinstance(runs, Mixture):
        return {"datasets": [{"path": os.fspath(runs), "weight": None, "tokens": None}], "mixture": None}
    datasets = [{"path": os.fspath(c.run), "weight": c.weight, "tokens": c.tokens} for c in runs.components]
    stages = [{"after_tokens": stage.after_tokens, "weights": list(stage.weights)} for stage in runs.stages]
    return {
        "datasets": datasets,
        "mixture": {"temperature": runs.temperature, "tokens": runs.tokens, "stages": stages},
    }


def describe_shuffle(shuffle: bool | BlockShuffle) -> dict[str, Any]:
    """The part of the native configuration that says in which order."""
    if isinstance(shuffle, BlockShuffle):
        return {"kind": "block", "block": shuffle.block, "group": shuffle.group}
    return {"kind": "full" if shuffle else "none"}


def describe_dtypes(dtype: Any) -> dict[str, str]:
    """The part of the native configuration that says how numbers are stored; one type is that of the tokens."""
    told = dtype if isinstance(dtype, Mapping) else {"tokens": dtype}
    unknown = [name for name in told if name not in DTYPES]
    if unknown:
        raise GristmillError("GM_CONFIG", f"option 'dtype': there is no field {unknown[0]!r}")
    return {**DTYPES, **{name: _dtype_name(name, one) for name, one in told.items()}}


def _dtype_name(field: str, dtype: Any) -> str:
    known = ("int32", "int64") if DTYPES[field] != "bool" else ("bool", "int32", "int64", "float16", "float32")
    try:
        name = str(dtype).removeprefix("torch.") if str(dtype).startswith("torch.") else str(np.dtype(dtype).name)
    except TypeError:
        name = str(dtype)
    if name not in known:
        raise GristmillError("GM_CONFIG", f"option 'dtype': {field} can be {', '.join(known)}, not {name}")
    return name
