"""The loader that a training loop iterates over."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NoReturn, cast

from . import _native
from .auto import agreement, choose, meter_for
from .batch import Batch
from .device import Statics, UnderWay, cuda, pinned_blocks
from .errors import GristmillError, translated
from .feeder import Feeder
from .options import (
    AutoBatch,
    BlockShuffle,
    Difficulty,
    FieldName,
    Mesh,
    Mixture,
    Path,
    Pipeline,
    as_json,
    describe_difficulty,
    describe_dtypes,
    describe_fields,
    describe_runs,
    describe_shuffle,
    place,
)
from .stats import Stats, StatsLog
from .tensors import converter, mover, stream_of, wants_torch


class Loader:
    """Batches of packed sequences from a finished run, or from a pipeline, in an order that the seed names.

    Iterating gives the rest of the current epoch and stops; iterating again gives the next epoch. Each sample comes
    once an epoch, on any number of ranks. The last batch of an epoch is filled up with rows of padding, so that all
    ranks take the same number of steps. Batches are made in background threads; use it as it is, or in a PyTorch
    ``DataLoader(loader, batch_size=None, num_workers=0)``.

    Args:
        runs: A run directory, a :class:`Mixture` of several, or a :class:`Pipeline` that runs meanwhile.
        batch_size: Sequences of a batch, of each rank; an :class:`AutoBatch` for as many as memory holds.
        max_tokens: Instead: positions of a batch, of each rank, padding included; as many rows as fit.
        seq_len: Length of the packing to read; may be left out when the run has one packing.
        buckets: Rising lengths, as in ``(32, 64, 128, 256)``. Reads documents instead of packed sequences, each in
            a batch of the smallest length that holds it; what a document has beyond the last is left out.
        difficulty: Batches or an order by a numeric column of the documents: a :class:`Difficulty`.
        seed: Names the order. The same on all ranks.
        rank: This rank; by default that of the environment (``RANK``), else 0.
        world_size: Number of ranks; by default that of the environment (``WORLD_SIZE``), else 1.
        mesh: Sizes of the parallel axes when there is more than data parallelism.
        fields: What a batch has, made in the background: names, or a mapping of your names to them, as in ``{"input_ids": "tokens"}``.
        dtype: Type of the tokens, ``int32`` or ``int64``; or a mapping of fields to types, as in ``{"labels": "int32",
            "attention_mask": "bfloat16"}``. Otherwise labels and positions are int64, masks bool.
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
        pin_memory: Page-locks the buffers for CUDA, so that copies to a device need not wait. PyTorch only.
        device: Where batches are handed over: a CUDA device, to which they are copied on a stream of their own.
            ``None`` for the memory of the host.
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
        if cls is Loader and ("torch" in sys.modules or wants_torch(options.get("as_numpy"))):
            return cast("Loader", object.__new__(stream_of(cls)))
        return object.__new__(cls)

    def __init__(
        self,
        runs: Path | Mixture | Pipeline,
        *,
        batch_size: int | AutoBatch | None = None,
        max_tokens: int | None = None,
        seq_len: int | None = None,
        buckets: Sequence[int] | None = None,
        difficulty: Difficulty | None = None,
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
        pin_memory: bool = False,
        device: Any = None,
        verify: bool = True,
        log_every: float | None = None,
    ) -> None:
        self._fields = describe_fields(fields)
        dtypes = describe_dtypes(dtype)
        self._convert = Statics(converter(as_numpy, dtypes))
        self._under_way = UnderWay()
        self._move = mover(device, self._convert, as_numpy)
        self._pinned = pin_memory or self._move is not None
        if self._pinned:
            cuda("pin_memory")
        self._where = f"{runs!r}" if isinstance(runs, (Mixture, Pipeline)) else os.fspath(runs)
        making = {
            "fields": _matrices(self._fields),
            "dtypes": dtypes,
            "shift_labels": shift_labels,
            "mask_documents": mask_documents,
            "reset_positions": reset_position_ids,
            "pad_id": pad_id,
        }
        rank, mesh = place(rank, world_size, mesh)
        self._config: dict[str, Any] = {
            **describe_runs(runs),
            "seq_len": seq_len,
            "max_tokens": max_tokens,
            "buckets": None if buckets is None else list(buckets),
            "difficulty": describe_difficulty(difficulty),
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
        self._chosen: int | None = None
        self._feeder: Feeder | None = None
        if isinstance(batch_size, AutoBatch):
            if isinstance(runs, Pipeline):
                raise GristmillError("GM_CONFIG", "option 'batch_size': AutoBatch tries samples of a finished run, not of a pipeline")
            self._chosen = batch_size = self._choose(batch_size, mesh)
        if isinstance(runs, Pipeline):
            self._feeder = Feeder(runs, seq_len)
            with self._feeder.watched():
                config = as_json({**self._config, "batch_size": batch_size})
                self._native = _native.Loader.live(config, self._feeder.take_socket())
        else:
            self._native = self._open(batch_size=batch_size)
        if self._pinned:
            self._lend()
        self._log = None if log_every is None else StatsLog(f"rank {rank}", log_every)

    def _open(self, **options: Any) -> _native.Loader:
        with translated():
            return _native.Loader(as_json({**self._config, **options}))

    def _lend(self) -> None:
        with translated():
            self._native.lend(pinned_blocks(self._config["buffers"], self._native.batch_bytes))

    def _choose(self, auto: AutoBatch, mesh: Mesh) -> int:
        """The batch size that memory holds, tried with the longest rows that there are."""
        buckets = self._config["buckets"]
        alone = {**self._config["datasets"][0], "weight": None, "tokens": None, "part": None}
        longest: dict[str, Any] = {
            "datasets": [alone],
            "mixture": None,
            "difficulty": None,
            "buckets": None if buckets is None else buckets[-1:],
            "prefetch": 0,
        }

        def run_step(rows: int) -> Any:
            assert auto.step is not None, "it is what is measured"
            native = self._open(batch_size=rows, **longest)
            try:
                with translated():
                    batch = Batch.of(native.next(), self._fields, self._convert)
                return auto.step(batch if self._move is None else self._moved(batch))
            finally:
                native.close()

        row_bytes = self._open(batch_size=1, **longest).batch_bytes
        return choose(auto, row_bytes, run_step, meter_for(auto), agreement(auto, mesh.world_size))

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
    def batch_size(self) -> int | None:
        """The size that was chosen for an :class:`AutoBatch`, of each rank; ``None`` where it was not."""
        return self._chosen

    @property
    def component_samples(self) -> list[int]:
        """Samples of each component of the mixture, in their order; of the run when there is no mixture."""
        counts = [0] * len(self._config["datasets"])
        for component, samples in self._native.components:
            counts[component] += samples
        return counts

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
            state = cast("dict[str, Any]", json.loads(self._native.state()))
        if self._chosen is not None:
            state["global_batch"] = self._chosen * self._config["mesh"]["dp"]
        return state

    def load_state_dict(self, state_dict: Mapping[str, Any] | str) -> None:
        """Goes on where a state was saved, on any number of ranks.

        With an :class:`AutoBatch` the global batch is the one of the state from now on, when it was chosen then, too.

        Raises:
            GristmillError: ``GM_FEED_STATE`` when the state is of another dataset, seed or configuration; the message
                lists what changed.
        """
        text = state_dict if isinstance(state_dict, str) else json.dumps(dict(state_dict))
        size = self._size_in(text)
        native = self._native if size == self._chosen else self._open(batch_size=size)
        with translated():
            native.load_state(text)
        if native is not self._native:
            self.close()
            self._native, self._chosen = native, size
            if self._pinned:
                self._lend()

    def _size_in(self, text: str) -> int | None:
        """The size that a state says was chosen, for this rank, where this loader chooses by itself."""
        try:
            size = json.loads(text)["global_batch"]
        except (ValueError, LookupError, TypeError):
            return self._chosen  # what is no state is refused by who reads it
        ranks: int = self._config["mesh"]["dp"]
        if self._chosen is None:
            return None
        if not isinstance(size, int) or size < 1 or size % ranks != 0:
            raise GristmillError("GM_FEED_STATE", f"its global batch of {size} cannot be cut for {ranks} ranks")
        return size // ranks

    def stats(self) -> Stats:
        """What was measured since the first batch was asked for."""
        with translated():
            return cast(Stats, {"feeder": None, **json.loads(self._native.stats())})

    def close(self) -> None:
        """Ends the background threads, and the process behind a pipeline. Batches that were handed over stay valid."""
        self._under_way.drain()
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
        native = self._next_native()
        if self._log is not None:
            self._log.tick(self.stats)
        batch = Batch.of(native, self._fields, self._convert)
        return batch if self._move is None else self._moved(batch)

    def _moved(self, batch: Batch) -> Batch:
        """The batch where it was wanted; its buffer is held until the copy is done."""
        assert self._move is not None, "asked for where there is a device"
        moved, event = self._move(batch)
        self._under_way.keep(event, batch)
        return moved

    def _next_native(self) -> _native.Batch:
        self._under_way.sweep()
        collected = False
        while True:
            try:
                with translated():
                    return self._native.next()
            except GristmillError as error:
                if error.code != "GM_FEED_BUFFERS" or collected:
                    raise (error if self._feeder is None else self._feeder.explained(error)) from None
            if not self._under_way.wait():
                # Batches in reference cycles are held by nobody, but only the collector knows.
                gc.collect()
                collected = True


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


def _matrices(fields: Mapping[str, str]) -> list[str]:
    """What is to be made in the background; the native code refuses names that there are not."""
    small = ("causal_mask", "cu_seqlens", "max_seqlen", "sample_ids", "dataset_ids")
    return [name for name in dict.fromkeys(fields.values()) if name not in small]
