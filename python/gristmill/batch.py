"""A batch as a dictionary of arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ._native import Array
from ._native import Batch as NativeBatch

#: Made when asked for: they follow from the lengths of documents alone.
_ON_REQUEST = ("cu_seqlens", "position_ids", "loss_mask", "attention_mask", "sample_ids", "dataset_ids")

Convert = Callable[[Array], Any]


def to_numpy(array: Array) -> Any:
    """A view of native memory, which lives as long as the view."""
    return np.asarray(array)


class Batch(dict[str, Any]):
    """The arrays of a batch by name, views of native memory.

    The fields asked for are its items. These are made when they are looked up, and are no items unless asked for:

    * ``cu_seqlens`` (int32, vector): ends of the documents over the flattened batch, 0 first. Padding at the end of
      a row counts as a document of its own, so the last entry is rows × positions.
    * ``max_seqlen`` (int): length of the longest of them.
    * ``position_ids`` (int64, rows × positions), ``loss_mask`` and ``attention_mask`` (bool, likewise).
    * ``sample_ids`` and ``dataset_ids`` (int64, a number for each row): which sample of which run; −1 for the rows
      that fill up the last batch of an epoch.

    The buffer goes back to the loader when the batch and every array from it are gone, so what you hold never changes.

    Frameworks make new batches of moved items, ``Batch({"tokens": ...})``; those have their items and no more.
    """

    __slots__ = ("_convert", "_native")

    _native: NativeBatch | None
    _convert: Convert

    def __init__(self, items: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        super().__init__(items)
        self._native = None
        self._convert = to_numpy

    @classmethod
    def of(cls, native: NativeBatch, fields: Mapping[str, str], convert: Convert) -> Batch:
        """A batch with ``fields``, the names of its items and what they are."""
        batch = cls()
        batch._native = native
        batch._convert = convert
        batch.update((name, batch._make(field)) for name, field in fields.items())
        return batch

    def __missing__(self, name: str) -> Any:
        if self._native is not None and (name == "max_seqlen" or name in _ON_REQUEST):
            return self._make(name)
        raise KeyError(f"{name!r}: this batch has {', '.join(self)}; name what you need in `fields`")

    def _make(self, name: str) -> Any:
        native = self._of_loader()
        return native.max_seqlen if name == "max_seqlen" else self._convert(native.array(name))

    def _of_loader(self) -> NativeBatch:
        if self._native is None:
            raise AttributeError("this batch was made from another one and has its items only")
        return self._native

    @property
    def epoch(self) -> int:
        """The epoch it belongs to, from 0."""
        return self._of_loader().epoch

    @property
    def sequences(self) -> int:
        """Rows that hold a sequence; fewer than there are rows only at the end of an epoch."""
        return self._of_loader().sequences

    @property
    def token_count(self) -> int:
        """Tokens, padding left out."""
        return self._of_loader().token_count
