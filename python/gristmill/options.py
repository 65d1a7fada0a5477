"""What a loader can be told, as values; they are checked where they are used, in the native code."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Union, get_args

import numpy as np

from . import _native
from .batch import Batch
from .errors import GristmillError, translated

Path = Union[str, "os.PathLike[str]"]
#: What a document has in a column.
Value = Union[str, int, bool]
FieldName = Literal[
    "tokens",
    "labels",
    "position_ids",
    "loss_mask",
    "attention_mask",
    "causal_mask",
    "cu_seqlens",
    "max_seqlen",
    "sample_ids",
    "dataset_ids",
]

#: The matrices and what they are stored as when nothing is said.
DTYPES = {
    "tokens": "int32",
    "labels": "int64",
    "position_ids": "int64",
    "loss_mask": "bool",
    "attention_mask": "bool",
    "causal_mask": "bool",
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
    """A run in a mixture, or a part of one.

    Args:
        run: The run directory.
        weight: Its share of the samples, in any unit.
        tokens: How many tokens of it an epoch shall have; instead of weights, and for all components or none.
        where: Draws only from documents with this value in a column of ``docs.parquet``, as in ``{"lang": "en"}``. A
            packed sequence has the value that most of its tokens have.
    """

    run: Path
    weight: float | None = None
    tokens: int | None = None
    where: Mapping[str, Value] | None = None


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
    """Several runs, or parts of one, drawn from in fixed shares.

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

    @classmethod
    def by(
        cls,
        run: Path,
        column: str,
        weights: Mapping[Value, float] | Sequence[Value] | None = None,
        *,
        budgets: Mapping[Value, int] | None = None,
        temperature: float | None = None,
        tokens: int | None = None,
        stages: Sequence[Stage] = (),
    ) -> Mixture:
        """One run, mixed by the values of a column of ``docs.parquet``; samples with other values are left out.

        Args:
            run: The run directory.
            column: A column of texts, whole numbers or truths that the run's documents kept.
            weights: A weight for each value; or the values, whose shares then follow their sizes; or nothing, for all
                values there are, in their order as texts. 255 at most.
            budgets: Instead: how many tokens of each value an epoch shall have.
            temperature: As for runs.
            tokens: As for runs.
            stages: As for runs; weights in the order of the values.

        Example:
            >>> Mixture.by("runs/corpus", "lang", {"en": 0.7, "zh": 0.3})
            >>> Mixture.by("runs/corpus", "lang", temperature=3.0)
        """
        if budgets is not None and weights is not None:
            raise GristmillError("GM_CONFIG", "option 'mixture': give `weights` or `budgets`, one of them")
        told: Sequence[tuple[Value, float | None]]
        if budgets is not None:
            components = [Component(run, tokens=own, where={column: value}) for value, own in budgets.items()]
        else:
            if isinstance(weights, Mapping):
                told = list(weights.items())
            elif weights is not None:
                told = [(value, None) for value in weights]
            else:
                with translated():
                    told = [(value, None) for value in _native.column_values(os.fspath(run), column)]
            components = [Component(run, weight, where={column: value}) for value, weight in told]
        return cls(components, temperature, tokens, stages)


@dataclass(frozen=True)
class Difficulty:
    """Batches, or an order, by a number that each document has in a column of ``docs.parquet``.

    A packed sequence has the mean over its tokens. Every document needs a number.

    Args:
        column: The column: a perplexity, a grade, a count.
        limit: The numbers in a batch of one rank add up to no more, so that hard samples come in smaller batches. It
            holds for the global batch, ``limit`` times ranks, which is dealt so that ranks get nearly the same; a
            sample above it comes alone. ``batch_size`` or ``max_tokens`` bound the rows as ever.
        bands: An epoch goes from the smallest numbers to the largest, in so many bands of about one size, each
            shuffled by itself; 1 to 254. For one run; mixtures have stages.

    Example:
        >>> Loader("runs/corpus", batch_size=64, difficulty=Difficulty("grade", bands=16))
    """

    column: str
    limit: float | None = None
    bands: int | None = None


@dataclass(frozen=True)
class AutoBatch:
    """A batch as large as memory allows, as ``batch_size``.

    A sample takes the bytes of its row in the batch, known from fields and types, and what the model needs for it:
    either stated, or measured by running ``step`` with batches of real samples. The largest size is searched for by
    doubling and bisection. It is chosen when the loader is opened, and is part of the saved state, so that a resume
    goes on with it.

    Args:
        budget: Bytes that batch and model may take; by default a share of the CUDA device, as PyTorch tells it.
        share: That share.
        sample_bytes: What the model needs for a sample.
        step: Runs a training step with a batch, on the device. Its peak is measured by PyTorch, and running out of
            the device's memory is caught. Without CUDA it returns the bytes that it took, and may raise MemoryError.
        largest: The search ends here.

    Example:
        >>> Loader("runs/corpus", batch_size=AutoBatch(step=lambda batch: model(batch["tokens"]).backward()))
    """

    budget: int | None = None
    share: float = 0.7
    sample_bytes: int | None = None
    step: Callable[[Batch], Any] | None = None
    largest: int = 4096


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
        return {"datasets": [_describe_component(Component(runs))], "mixture": None}
    datasets = [_describe_component(component) for component in runs.components]
    stages = [{"after_tokens": stage.after_tokens, "weights": list(stage.weights)} for stage in runs.stages]
    return {
        "datasets": datasets,
        "mixture": {"temperature": runs.temperature, "tokens": runs.tokens, "stages": stages},
    }


def _describe_component(component: Component) -> dict[str, Any]:
    told = {"path": os.fspath(component.run), "weight": component.weight, "tokens": component.tokens, "part": None}
    if component.where is None:
        return told
    if len(component.where) != 1:
        raise GristmillError("GM_CONFIG", f"option 'where': {dict(component.where)} is not one column with one value")
    ((column, value),) = component.where.items()
    text = str(value).lower() if isinstance(value, (bool, np.bool_)) else str(value)
    return {**told, "part": {"column": column, "value": text}}


def describe_difficulty(difficulty: Difficulty | None) -> dict[str, Any] | None:
    """The part of the native configuration that says what a number of each document is for."""
    if difficulty is None:
        return None
    if difficulty.bands is not None and not 1 <= difficulty.bands <= 254:
        raise GristmillError("GM_CONFIG", f"option 'difficulty': bands are from 1 to 254, not {difficulty.bands}")
    return {"column": difficulty.column, "limit": difficulty.limit, "bands": difficulty.bands}


def describe_shuffle(shuffle: bool | BlockShuffle) -> dict[str, Any]:
    """The part of the native configuration that says in which order."""
    if isinstance(shuffle, BlockShuffle):
        return {"kind": "block", "block": shuffle.block, "group": shuffle.group}
    if not isinstance(shuffle, bool):
        raise GristmillError("GM_CONFIG", f"option 'shuffle': it is True, False or a BlockShuffle, not {shuffle!r}")
    return {"kind": "full" if shuffle else "none"}


def describe_fields(fields: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """What is in a batch by the caller's names."""
    names = [fields] if isinstance(fields, str) else fields
    told = dict(names) if isinstance(names, Mapping) else {name: name for name in names}
    known = get_args(FieldName)
    unknown = [field for field in told.values() if field not in known]
    if unknown:
        raise GristmillError("GM_CONFIG", f"option 'fields': there is no {unknown[0]!r}; there are {', '.join(known)}")
    return told


def as_json(config: Mapping[str, Any]) -> str:
    """The native configuration, in which numpy's numbers are numbers too."""
    return json.dumps(config, default=_number)


def _number(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise GristmillError("GM_CONFIG", f"an option is {value!r}, and it is to be a number")


def describe_dtypes(dtype: Any) -> dict[str, str]:
    """The part of the native configuration that says how numbers are stored; one type is that of the tokens."""
    told = dtype if isinstance(dtype, Mapping) else {"tokens": dtype}
    unknown = [name for name in told if name not in DTYPES]
    if unknown:
        raise GristmillError("GM_CONFIG", f"option 'dtype': there is no field {unknown[0]!r}")
    return {**DTYPES, **{name: _dtype_name(name, one) for name, one in told.items()}}


def _dtype_name(field: str, dtype: Any) -> str:
    known: tuple[str, ...] = ("int32", "int64")
    if DTYPES[field] == "bool":
        known = ("bool", *known, "float16", "bfloat16", "float32")
    try:
        name = str(dtype).removeprefix("torch.") if str(dtype).startswith("torch.") else str(np.dtype(dtype).name)
    except TypeError:
        name = str(dtype)
    if name not in known:
        raise GristmillError("GM_CONFIG", f"option 'dtype': {field} can be {', '.join(known)}, not {name}")
    return name


def of_environment(name: str, otherwise: int) -> int:
    """A number that the launcher of a training has set."""
    told = os.environ.get(name, str(otherwise))
    if not told.isdecimal():
        reason = f"environment variable {name}: {told!r} is no number"
        raise GristmillError("GM_CONFIG", reason, "unset it, or pass `rank` and `world_size`")
    return int(told)


def place(rank: int | None, world_size: int | None, mesh: Mesh | Mapping[str, int] | None) -> tuple[int, Mesh]:
    """The rank, and the mesh it is in; what is not told is what the environment says."""
    if mesh is not None and not isinstance(mesh, Mesh):
        mesh = Mesh(**mesh)
    if rank is None and world_size is None:
        rank, world_size = of_environment("RANK", 0), of_environment("WORLD_SIZE", 1)
        if mesh is not None and "WORLD_SIZE" not in os.environ:
            world_size = mesh.world_size
    elif rank is None:
        raise GristmillError("GM_CONFIG", "option 'world_size': it needs `rank` beside it")
    elif world_size is None:
        if mesh is None:
            raise GristmillError("GM_CONFIG", "option 'rank': it needs `world_size` or `mesh` beside it")
        world_size = mesh.world_size
    if mesh is None:
        return rank, Mesh(dp=world_size)
    if mesh.world_size != world_size:
        raise GristmillError(
            "GM_CONFIG", f"option 'mesh': its axes multiply to {mesh.world_size}, the world has {world_size} ranks"
        )
    return rank, mesh
