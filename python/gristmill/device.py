"""Batches on a CUDA device: page-locked buffers, copies on a stream of their own, buffers back after the copy.

Everything of CUDA is asked of PyTorch when it is needed; the wheel knows nothing of it.
"""

from __future__ import annotations

import mmap
import weakref
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np

from ._native import Array
from .batch import Batch, Convert
from .errors import GristmillError

#: What ``cudaHostRegister`` calls portable: page-locked for all devices of the process.
_PORTABLE = 1


def cuda(option: str) -> Any:
    """``torch``, where it sees a CUDA device.

    Raises:
        GristmillError: There is no PyTorch, or no device that it could use.
    """
    try:
        import torch
    except ImportError as error:
        raise GristmillError("GM_CONFIG", f"option '{option}': it needs PyTorch, which is not installed") from error
    if not torch.cuda.is_available():
        raise GristmillError(
            "GM_CONFIG", f"option '{option}': PyTorch {torch.__version__} sees no CUDA device on this machine"
        )
    return torch


class Block:
    """Zeroed memory of its own pages, locked by ``register`` and unlocked before it is unmapped.

    Args:
        size: Bytes, above 0.
        register: Locks the pages at an address, so many bytes.
        unregister: Unlocks them.
    """

    def __init__(self, size: int, register: Callable[[int, int], None], unregister: Callable[[int], None]) -> None:
        self.size = size
        pages = np.frombuffer(mmap.mmap(-1, size), np.uint8)
        self.address = pages.ctypes.data
        register(self.address, size)
        # The pages are an argument, so that they are there until they are unlocked.
        weakref.finalize(self, _unlock, unregister, pages)


def _unlock(unregister: Callable[[int], None], pages: Any) -> None:
    unregister(pages.ctypes.data)


def pinned_blocks(count: int, size: int) -> list[tuple[int, int, Block]]:
    """Page-locked memory for ``count`` batches, as the native loader takes it."""
    torch = cuda("pin_memory")
    runtime = torch.cuda.cudart()

    def register(address: int, size: int) -> None:
        code = int(runtime.cudaHostRegister(address, size, _PORTABLE))
        if code != 0:
            reason = f"CUDA error {code} when {size} bytes were to be page-locked; is `ulimit -l` or memory short?"
            raise GristmillError("GM_CONFIG", f"option 'pin_memory': {reason}")

    def unregister(address: int) -> None:
        runtime.cudaHostUnregister(address)

    blocks = [Block(max(size, 1), register, unregister) for _ in range(count)]
    return [(block.address, block.size, block) for block in blocks]


class Event(Protocol):
    """What is known of a copy under way; ``torch.cuda.Event`` is one."""

    def query(self) -> bool:
        """Whether the copy is done."""

    def synchronize(self) -> None:
        """Waits until it is."""


class UnderWay:
    """Batches that are being copied; each is let go, and its buffer with it, when its copy is done."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Event, Batch]] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    def keep(self, event: Event, batch: Batch) -> None:
        """Holds the batch until the event."""
        self._waiting.append((event, batch))

    def sweep(self) -> None:
        """Lets those go whose copies are done; they are done in the order in which they began."""
        while self._waiting and self._waiting[0][0].query():
            self._waiting.popleft()

    def wait(self) -> bool:
        """Waits for the oldest copy and lets its batch go; false when there is none."""
        if not self._waiting:
            return False
        event, batch = self._waiting.popleft()
        event.synchronize()
        del batch
        return True

    def drain(self) -> None:
        """Waits for all copies."""
        while self.wait():
            pass

    def __del__(self) -> None:
        # A copy reads from the buffers until it is done, also when nobody wants the loader any more.
        self.drain()


class Statics:
    """Converts arrays; those that batches share are converted once, and are then the same object."""

    def __init__(self, convert: Convert) -> None:
        self._convert = convert
        self._known: dict[tuple[int, Any], Any] = {}

    def __call__(self, array: Array) -> Any:
        """The array as the trainer has it."""
        if not array.shared:
            return self._convert(array)
        interface = array.__array_interface__
        key = (interface["data"][0], interface["shape"])
        if key not in self._known:
            self._known[key] = self._convert(array)
        return self._known[key]

    def values(self) -> Iterable[Any]:
        """What was converted once."""
        return self._known.values()


class Mover:
    """Copies batches to a device, on a stream of its own, so that they travel while the device computes."""

    def __init__(self, device: Any, statics: Statics) -> None:
        self._torch = cuda("device")
        self._device = device
        self._stream = self._torch.cuda.Stream(device)
        self._statics = statics
        self._there: dict[int, Any] = {}

    def __call__(self, batch: Batch) -> tuple[Batch, Event]:
        """The batch on the device, and the event after which its buffer may be used again.

        The device's current stream waits for the copy; the caller does not.
        """
        torch = self._torch
        current = torch.cuda.current_stream(self._device)
        items: dict[str, Any] = {}
        with torch.cuda.stream(self._stream):
            for name, value in batch.items():
                items[name] = self._copy(value) if isinstance(value, torch.Tensor) else value
            event = self._stream.record_event()
        current.wait_event(event)
        for value in items.values():
            if isinstance(value, torch.Tensor):
                # Its memory is of the copying stream; the allocator must not give it away while the other one reads.
                value.record_stream(current)
        return batch.moved(items), event

    def _copy(self, value: Any) -> Any:
        if any(value is shared for shared in self._statics.values()):
            if id(value) not in self._there:
                self._there[id(value)] = value.to(self._device)
            return self._there[id(value)]
        return value.to(self._device, non_blocking=True)
