"""Arrays by the hash of what they were made from, kept in memory, shared memory and on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from . import _native
from .errors import GristmillError, translated

#: What a key is made of.
KeyPart = str | bytes | int | np.integer[Any] | NDArray[Any]

_MIB = 1 << 20


class CacheStats(TypedDict):
    """Counted by this process since it opened the cache; bytes are those of all processes, but for ``memory_bytes``."""

    memory_hits: int
    """Found in the memory of this process."""
    shared_hits: int
    """Found in shared memory."""
    disk_hits: int
    """Found on disk."""
    misses: int
    """Found nowhere, so made."""
    evictions: int
    """Removed from shared memory or disk to make room."""
    corrupt: int
    """Found damaged and removed."""
    refused: int
    """Not stored in a level: larger than it, or everything in it was being read or stored."""
    failed_writes: int
    """Not stored in a level, because shared memory or the disk is full, or writing failed otherwise."""
    memory_bytes: int
    shared_bytes: int
    disk_bytes: int
    last_failure: str | None
    """Why a write failed, the last time."""


class Cache:
    """Arrays that are made once and read from then on, by any number of processes.

    Looked for in the memory of this process, then in shared memory, then on disk. Each level is bounded in bytes and
    drops what was unused longest, never what somebody reads. Arrays are read-only views of mapped memory, so
    processes share it. A damaged entry is found by its checksums when a process first opens it, and made again.

    Open it in each process, after a fork; pickling opens the same folder again.

    Args:
        path: Folder of the cache, made when absent, on a disk of this machine.
        memory: Bytes of entries that this process keeps at hand. They count as being read.
        shared: Bytes of entries in shared memory, for all processes; 0 for none. It is freed when the last process
            closes the cache. Where it is full, entries are on disk alone, and ``failed_writes`` counts them.
        disk: Bytes of entries on disk, for all processes; 0 for none.
        shared_folder: A folder in a memory file system.

    Raises:
        GristmillError: The folder cannot be made or written to.

    Example:
        >>> cache = Cache("cache", memory=256 << 20, disk=10 << 30)
        >>> arrays = cache.get_or_make(("tokens", text, "cl100k_base"), lambda: {"ids": encode(text)})
        >>> arrays["ids"]
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        memory: int = 256 * _MIB,
        shared: int = 0,
        disk: int = 10_240 * _MIB,
        shared_folder: str | os.PathLike[str] = "/dev/shm",
    ) -> None:
        for name, size in (("memory", memory), ("shared", shared), ("disk", disk)):
            if not 0 <= size < 1 << 63:
                raise GristmillError("GM_CONFIG", f"option '{name}': {size} is no number of bytes")
        self._arguments = (os.path.abspath(path), memory, shared, os.fspath(shared_folder), disk)
        with translated():
            self._native: _native.Cache | None = _native.Cache(*self._arguments)

    def get_or_make(
        self, key: KeyPart | Sequence[KeyPart], make: Callable[[], Mapping[str, Any]]
    ) -> dict[str, NDArray[Any]]:
        """The arrays of a key, made by ``make`` when they are nowhere.

        One process makes them while the others wait, and then read. When ``make`` fails, the next one tries.

        Args:
            key: Strings, bytes, integers and arrays that name the input and how it is worked on. Together they must
                determine what ``make`` returns. They are hashed to 128 bits, and equal hashes are taken for equal.
            make: Returns arrays of numbers or booleans by name. It must not ask for the same key.

        Returns:
            Read-only arrays. Their memory lives as long as they do, whatever becomes of the cache.

        Raises:
            GristmillError: A key part or array is of a type that the cache does not hold, or a file cannot be read.
        """
        native = self._open()
        with translated():
            entry, maker = native.claim(_parts(key))
        if entry is None:
            assert maker is not None
            try:
                arrays = [_described(name, array) for name, array in make().items()]
                with translated():
                    entry = maker.store(arrays)
            finally:
                maker.drop()
        return _views(entry)

    def get(self, key: KeyPart | Sequence[KeyPart]) -> dict[str, NDArray[Any]] | None:
        """The arrays of a key, or ``None`` when they are nowhere."""
        native = self._open()
        with translated():
            entry = native.find(_parts(key))
        return None if entry is None else _views(entry)

    def stats(self) -> CacheStats:
        """Hits by level, misses, evictions, damage and bytes."""
        native = self._open()
        with translated():
            stats: CacheStats = json.loads(native.stats())
        return stats

    def close(self) -> None:
        """Lets go of the cache; arrays from it stay valid. Closing twice is harmless."""
        self._native = None

    def _open(self) -> _native.Cache:
        if self._native is None:
            raise GristmillError("GM_DISPOSED", "this cache was closed and cannot be used")
        return self._native

    def __enter__(self) -> Cache:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, self._arguments


def _reopen(path: str, memory: int, shared: int, shared_folder: str, disk: int) -> Cache:
    return Cache(path, memory=memory, shared=shared, disk=disk, shared_folder=shared_folder)


def _views(entry: _native.CacheEntry) -> dict[str, NDArray[Any]]:
    return {name: np.asarray(array) for name, array in entry.arrays()}


def _parts(key: KeyPart | Sequence[KeyPart]) -> list[bytes]:
    # Of other collections not all would be in the key, or not in one order: a mapping has values, too.
    if isinstance(key, Sequence) and not isinstance(key, (str, bytes)):
        return [_part(part) for part in key]
    return [_part(key)]


def _part(part: Any) -> bytes:
    """A part's bytes behind its type, so that 1 and "1" are two keys."""
    if isinstance(part, str):
        return b"s" + part.encode("utf-8", "surrogatepass")
    if isinstance(part, bytes):
        return b"b" + part
    if isinstance(part, (int, np.integer)):
        return b"i%d" % int(part)
    if isinstance(part, np.ndarray) and not part.dtype.hasobject:
        return f"a{part.dtype.str}{part.shape}\n".encode() + part.tobytes()
    takes = "str, bytes, int and arrays of numbers, or a list of them"
    raise GristmillError("GM_CONFIG", f"option 'key': it takes {takes}, not {type(part)!r}")


def _described(name: str, value: Any) -> tuple[str, str, tuple[int, ...], bytes]:
    array = np.asarray(value)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return name, array.dtype.str, array.shape, array.tobytes()
