"""The largest batch that memory holds.

The search knows nothing of devices: a meter tells how much memory there is and how much some work took at its peak.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from .device import cuda
from .errors import GristmillError
from .options import AutoBatch


class Meter(Protocol):
    """Tells of a device's memory, in bytes."""

    def total(self) -> int:
        """All there is."""

    def peak(self, work: Callable[[], Any]) -> int | None:
        """The most that was in use while ``work`` ran; ``None`` when there was not enough."""


class CudaMeter:
    """The memory of a CUDA device, as PyTorch counts it: model, optimizer and whatever else it holds included."""

    def __init__(self, device: Any = None) -> None:
        self._torch = cuda("batch_size")
        self._device = device

    def total(self) -> int:
        """All there is."""
        return int(self._torch.cuda.mem_get_info(self._device)[1])

    def peak(self, work: Callable[[], Any]) -> int | None:
        """The most that was allocated while ``work`` ran; ``None`` when it ran out."""
        memory = self._torch.cuda
        memory.synchronize(self._device)
        memory.reset_peak_memory_stats(self._device)
        try:
            work()
            memory.synchronize(self._device)
        except memory.OutOfMemoryError:
            return None
        finally:
            memory.empty_cache()
        return int(memory.max_memory_allocated(self._device))


class ToldMeter:
    """Where there is no CUDA: the step tells what it took, and how much there is must be stated."""

    def total(self) -> int:
        """It is not known."""
        raise GristmillError(
            "GM_CONFIG", "option 'batch_size': there is no CUDA device to ask; state AutoBatch(budget=…) in bytes"
        )

    def peak(self, work: Callable[[], Any]) -> int | None:
        """What ``work`` returns; ``None`` when it raises MemoryError."""
        try:
            told = work()
        except MemoryError:
            return None
        if not isinstance(told, int):
            raise GristmillError(
                "GM_CONFIG",
                f"option 'batch_size': without CUDA the step must return the bytes that it took, not {told!r}",
            )
        return told


def choose(
    auto: AutoBatch,
    row_bytes: int,
    run_step: Callable[[int], Any],
    meter: Meter,
    agree: Callable[[bool], bool] = bool,
) -> int:
    """The largest batch size that fits.

    Args:
        auto: What was asked for.
        row_bytes: Bytes of a row in a batch.
        run_step: Runs the step with a batch of so many rows, and gives what it returns.
        meter: The device.
        agree: Whether it fits on all ranks; each asks in turn, so that all take the same way.

    Raises:
        GristmillError: Not even one sample fits, or nothing says what a sample costs.
    """
    if not 0 < auto.share <= 1 or auto.largest < 1:
        raise GristmillError("GM_CONFIG", f"option 'batch_size': share {auto.share} or largest {auto.largest} is no size")
    if min(auto.sample_bytes or 0, auto.budget or 0) < 0:
        raise GristmillError("GM_CONFIG", f"option 'batch_size': {auto.sample_bytes} or {auto.budget} is no number of bytes")
    if (auto.step is None) == (auto.sample_bytes is None):
        raise GristmillError("GM_CONFIG", "option 'batch_size': give AutoBatch a `step` or `sample_bytes`, one of them")
    budget = int(meter.total() * auto.share) if auto.budget is None else auto.budget

    def fits(rows: int) -> bool:
        if auto.sample_bytes is not None:
            return agree(rows * (row_bytes + auto.sample_bytes) <= budget)
        taken = meter.peak(lambda: run_step(rows))
        return agree(taken is not None and taken + rows * row_bytes <= budget)

    if not fits(1):
        raise GristmillError("GM_CONFIG", f"option 'batch_size': not even one sample fits into {budget} bytes")
    good, bad = 1, 2
    while bad <= auto.largest and fits(bad):
        good, bad = bad, bad * 2
    bad = min(bad, auto.largest + 1)
    while bad - good > 1:
        middle = (good + bad) // 2
        if fits(middle):
            good = middle
        else:
            bad = middle
    return good


def meter_for(auto: AutoBatch) -> Meter:
    """The CUDA device where there is one, unless the caller states all figures."""
    if auto.sample_bytes is not None and auto.budget is not None:
        return ToldMeter()
    try:
        import torch
    except ImportError:
        return ToldMeter()
    return CudaMeter() if torch.cuda.is_available() else ToldMeter()


def agreement(auto: AutoBatch, world_size: int) -> Callable[[bool], bool]:
    """How ranks agree on what fits: with figures they all have, else through ``torch.distributed``."""
    if world_size == 1 or (auto.sample_bytes is not None and auto.budget is not None):
        return bool
    try:
        import torch.distributed as distributed

        ready = distributed.is_available() and distributed.is_initialized()
    except ImportError:
        ready = False
    if not ready:
        raise GristmillError(
            "GM_CONFIG",
            "option 'batch_size': ranks must agree on a size; call torch.distributed.init_process_group first, or "
            "give AutoBatch both `sample_bytes` and `budget`",
        )

    def on_all_ranks(fits: bool) -> bool:
        answers: list[Any] = [None] * distributed.get_world_size()
        distributed.all_gather_object(answers, fits)
        return all(answers)

    return on_all_ranks
