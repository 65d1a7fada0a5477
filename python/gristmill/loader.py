"""The loader that a training loop iterates over."""

from __future__ import annotations

import gc
import importlib.util
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn, cast

import numpy as np

from . import _native
from .batch import Batch, Convert, to_numpy
from .errors import GristmillError, translated
from .feeder import Feeder
from .options import (
    BlockShuffle,
    FieldName,
    Mesh,
    Mixture,
    Path,
    Pipeline,
    describe_dtypes,
    describe_runs,
    describe_shuffle,
)
from .stats import Stats, StatsLog


class Loader:
    """Batches of packed sequences from a finished run, or from a pipeline, in an order that the seed names.

    Iterating gives the rest of the current epoch and stops; iterating again gives the next epoch. Each sample comes
    once an epoch, on any number of ranks. The last batch of an epoch is filled up with rows of padding, so that all
    ranks take the same number of steps. Batches are made in background threads; use it as it is, or in a PyTorch
    ``DataLoader(loader, batch_size=None, num_workers=0)``.

    Args:
        runs: A run directory, a :class:`Mixture` of several, or a :class:`Pipeline` that runs meanwhile.
        batch_size: Sequences of a batch, of each rank.
        max_tokens: Instead: positions of a batch, of each rank, padding included; as many rows as fit.
        seq_len: Length of the packing to read; may be left out when the run has one packing.
        buckets: Rising lengths, as in ``(32, 64, 128, 256)``. Reads documents instead of packed sequences, each in
            a batch of the smallest length that holds it; what a document has beyond the last is left out.
        seed: Names the order. The same on all ranks.
        rank: This rank; by default that of the environment (``RANK``), else 0.
        world_size: Number of ranks; by default that of the environment (``WORLD_SIZE``), else 1.
        mesh: Sizes of the parallel axes when there is more than data parallelism.
        fields: What a batch has, made in the background: names, or a mapping of your names to them, as in ``{"input_ids": "tokens"}``.
        dtype: Type of the tokens, ``int32`` or ``int64``; or a mapping of fields to types, as in ``{"labels": "int32",
            "attention_mask": "float16"}``. Otherwise labels and positions are int64, masks bool.
        shift_labels: Labels are the next token. ``False`` for models that shift themselves, as those of Hugging Face.
        mask_documents: Documents in one sequence do not see each other: no label reaches from one into the next.
        reset_position_ids: Positions begin anew with each document.
        pad_id: Token at the padding.
        shuffle: ``True``, ``False`` or a :class:`BlockShuffle`.
        accumulate: Batches between two steps of the optimizer; an epoch has a multiple of it.
        as_numpy: ``True`` for numpy arrays, ``False`` for PyTorch tensors; by default tensors if PyTorch is installed.
        buffers: Batches whose memory can be in use at a time, those you hold included.
        prefetch: Batches made ahead; 0 makes them when they are asked for.
        threads: Background threads.
        verify: Hold each MiB of the files against its checksum when it is first touched.
        log_every: Seconds between two lines on the logger ``gristmill`` that say what was measured; ``None`` for none.

    Raises:
        GristmillError: There is no such run or packing, a file is missing or damaged, or an option does not fit.

    Example:
        >>> with Loader("runs/corpus", batch_size=16, seq_len=2048, seed=7) as loader:
        ...     for batch in loader:
        ...         loss = model(batch["tokens"], batch["labels"])
        ...     state = loader.state_dict()
    """

    def __new__(cls, *_args: Any, **options: Any) -> Loader:
        # A DataLoader takes only what inherits from its IterableDataset for a stream.
        if cls is Loader and ("torch" in sys.modules or _wants_torch(options.get("as_numpy"))):
            return object.__new__(_torch_loader())
        return object.__new__(cls)

    def __init__(
        self,
        runs: Path | Mixture | Pipeline,
        *,
        batch_size: int | None = None,
        max_tokens: int | None = None,
        seq_len: int | None = None,
        buckets: Sequence[int] | None = None,
        seed: int = 0,
        rank: int | None = None,
        world_size: int | None = None,
        mesh: Mesh | Mapping[str, int] | None = None,
        fields: Sequence[FieldName] | Mapping[str, FieldName] = ("tokens", "labels"),
        dtype: Any = "int32",
        shift_labels: bool = True,
        mask_documents: bool = True,
        reset_position_ids: bool = True,
        pad_id: int = 0,
        shuffle: bool | BlockShuffle = True,
        accumulate: int = 1,
        as_numpy: bool | None = None,
        buffers: int = 8,
        prefetch: int = 4,
        threads: int = 2,
        verify: bool = True,
        log_every: float | None = None,
    ) -> None:
        self._fields: dict[str, str] = dict(fields.items() if isinstance(fields, Mapping) else zip(fields, fields))
        self._convert = _converter(as_numpy)
        self._where = f"{runs!r}" if isinstance(runs, (Mixture, Pipeline)) else os.fspath(runs)
        making = {
            "fields": _matrices(self._fields),
            "dtypes": describe_dtypes(dtype),
            "shift_labels": shift_labels,
            "mask_documents": mask_documents,
            "reset_positions": reset_position_ids,
            "pad_id": pad_id,
        }
        rank, mesh = _place(rank, world_size, mesh)
        config = {
            **describe_runs(runs),
            "seq_len": seq_len,
            "batch_size": batch_size,
            "max_tokens": max_tokens,
            "buckets": None if buckets is None else list(buckets),
            "accumulate": accumulate,
            "seed": seed,
            "shuffle": describe_shuffle(shuffle),
            "rank": rank,
            "mesh": {"dp": mesh.dp, "tp": mesh.tp, "pp": mesh.pp, "cp": mesh.cp},
            "making": making,
            "buffers": buffers,
            "prefetch": prefetch,
            "threads": threads,
            "check": verify,
        }
        self._feeder: Feeder | None = None
        if isinstance(runs, Pipeline):
            self._feeder = Feeder(runs, seq_len)
            with self._feeder.watched():
                self._native = _native.Loader.live(json.dumps(config), self._feeder.take_socket())
        else:
            with translated():
                self._native = _native.Loader(json.dumps(config))
        self._log = None if log_every is None else StatsLog(f"rank {rank}", log_every)

    def __iter__(self) -> Iterator[Batch]:
        return _Epoch(self)

    def __len__(self) -> int:
        """Batches of this rank in the whole current epoch. With ``buckets`` the lengths of all documents are read.

        Raises:
            TypeError: A pipeline's first epoch is not over, so nobody knows yet.
        """
        with translated():
            batches = self._native.epoch_batches
        if batches is None:
            raise TypeError("how many batches a pipeline gives is known when all of its input was seen once")
        return batches

    @property
    def epoch(self) -> int:
        """The epoch of the next batch, from 0."""
        return self._native.cursor[0]

    @property
    def epoch_samples(self) -> int | None:
        """Samples of an epoch, of all ranks together; None before all of a pipeline's input was seen once."""
        return self._native.epoch_samples

    @property
    def seq_len(self) -> int:
        """Positions of the longest rows."""
        return self._native.seq_len

    def set_epoch(self, epoch: int) -> None:
        """Goes to the start of an epoch; does nothing in the midst of it, so that a resumed epoch goes on."""
        if epoch != self.epoch:
            with translated():
                self._native.set_epoch(epoch)

    def state_dict(self) -> dict[str, Any]:
        """Where the loader is: JSON of a few hundred bytes, the same on every rank.

        It counts what was handed over, not what was made ahead. Save it with the model.
        """
        with translated():
            return cast("dict[str, Any]", json.loads(self._native.state()))

    def load_state_dict(self, state_dict: Mapping[str, Any] | str) -> None:
        """Goes on where a state was saved, on any number of ranks.

        Raises:
            GristmillError: ``GM_FEED_STATE`` when the state is of another dataset, seed or configuration; the message
                lists what changed.
        """
        text = state_dict if isinstance(state_dict, str) else json.dumps(dict(state_dict))
        with translated():
            self._native.load_state(text)

    def stats(self) -> Stats:
        """What was measured since the first batch was asked for."""
        with translated():
            return cast(Stats, {"feeder": None, **json.loads(self._native.stats())})

    def close(self) -> None:
        """Ends the background threads, and the process behind a pipeline. Batches that were handed over stay valid."""
        self._native.close()
        if self._feeder is not None:
            self._feeder.close()

    def __enter__(self) -> Loader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        epoch, samples = self._native.cursor
        return f"Loader({self._where}, epoch {epoch}, {samples} of {self.epoch_samples or 'unknown'} samples)"

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Loader cannot be sent to another process: it works in the background by itself, "
            "so use num_workers=0, and open one in each rank"
        )

    def _next(self) -> Batch:
        try:
            with translated():
                native = self._native.next()
        except GristmillError as error:
            if error.code != "GM_FEED_BUFFERS":
                raise (error if self._feeder is None else self._feeder.explained(error)) from None
            # Batches in reference cycles are held by nobody, but only the collector knows.
            gc.collect()
            with translated():
                native = self._native.next()
        if self._log is not None:
            self._log.tick(self.stats)
        return Batch.of(native, self._fields, self._convert)


class _Epoch(Iterator[Batch]):
    """The rest of the epoch that the loader was in when iteration began."""

    __slots__ = ("_epoch", "_loader")

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._epoch = loader.epoch

    def __next__(self) -> Batch:
        if self._loader.epoch != self._epoch:
            raise StopIteration
        return self._loader._next()


def _wants_torch(as_numpy: bool | None) -> bool:
    return as_numpy is False or (as_numpy is None and importlib.util.find_spec("torch") is not None)


def _converter(as_numpy: bool | None) -> Convert:
    if not _wants_torch(as_numpy):
        return to_numpy
    try:
        from torch import from_numpy
    except ImportError as error:
        raise GristmillError("GM_CONFIG", "option 'as_numpy': False asks for PyTorch, which is not installed") from error

    def to_torch(array: _native.Array) -> Any:
        return from_numpy(np.asarray(array))

    return to_torch


def _torch_loader() -> type[Loader]:
    """A Loader that is an IterableDataset too; made when PyTorch is there."""
    global _TORCH_LOADER
    if _TORCH_LOADER is None:
        from torch.utils.data import IterableDataset

        _TORCH_LOADER = type("Loader", (Loader, IterableDataset), {"__module__": __name__, "__doc__": Loader.__doc__})
    return _TORCH_LOADER


_TORCH_LOADER: type[Loader] | None = None


def _matrices(fields: Mapping[str, str]) -> list[str]:
    """What is to be made in the background; the native code refuses names that there are not."""
    small = ("cu_seqlens", "max_seqlen", "sample_ids", "dataset_ids")
    return [name for name in dict.fromkeys(fields.values()) if name not in small]


def _place(rank: int | None, world_size: int | None, mesh: Mesh | Mapping[str, int] | None) -> tuple[int, Mesh]:
    if mesh is not None and not isinstance(mesh, Mesh):
        mesh = Mesh(**mesh)
    if rank is None and world_size is None:
        rank, world_size = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
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
