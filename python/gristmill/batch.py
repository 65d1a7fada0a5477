"""A batch as a dictionary of arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from ._native import Array
from ._native import Batch as NativeBatch
from .errors import translated

#: Made when asked for: they follow from the lengths of documents alone.
_ON_REQUEST = (
    "cu_seqlens",
    "position_ids",
    "loss_mask",
    "attention_mask",
    "causal_mask",
    "sample_ids",
    "dataset_ids",
)

Convert = Callable[[Array], Any]


def to_numpy(array: Array) -> Any:
    """A view of native memory, which lives as long as the view; what batches share cannot be written to."""
    view = np.asarray(array)
    if array.shared:
        view.flags.writeable = False
    return view


class Batch(dict[str, Any]):
    """The arrays of a batch by name, views of native memory.

    The fields asked for are its items. These are made when they are looked up, and are no items unless asked for:

    * ``cu_seqlens`` (int32, vector): ends of the documents over the flattened batch, 0 first. Padding at the end of
      a row counts as a document of its own, so the last entry is rows × positions.
    * ``max_seqlen`` (int): length of the longest of them.
    * ``position_ids`` (int64, rows × positions), ``loss_mask`` and ``attention_mask`` (bool, likewise).
    * ``causal_mask``: which positions each position may see, rows are queries, columns keys. Added to scores (0 and
      −∞) where its type is a float.
    * ``sample_ids`` and ``dataset_ids`` (int64, a number for each row): which sample of which run; −1 for the rows
      that fill up the last batch of an epoch.

    ``causal_mask``, and an ``attention_mask`` without padding that is no item, are made once and are the same array in
    all batches of a shape: do not write to them.

    The buffer goes back to the loader when the batch and every array from it are gone, so what you hold never changes.

    Frameworks make new batches of moved items, ``Batch({"tokens": ...})``; those have their items and no more. Batches
    that the loader itself moved to a device have their items, epoch and counts.
    """

    __slots__ = ("_convert", "_facts", "_native")

    _native: NativeBatch | None
    _convert: Convert
    _facts: tuple[int, int, int] | None

    def __init__(self, items: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        super().__init__(items)
        self._native = None
        self._convert = to_numpy
        self._facts = None

    @classmethod
    def of(cls, native: NativeBatch, fields: Mapping[str, str], convert: Convert) -> Batch:
        """A batch with ``fields``, the names of its items and what they are."""
        batch = cls()
        batch._native = native
        batch._convert = convert
        batch._facts = (native.epoch, native.sequences, native.token_count)
        batch.update((name, batch._make(field)) for name, field in fields.items())
        return batch

    def moved(self, items: Mapping[str, Any]) -> Batch:
        """The same batch with its arrays elsewhere; it does not hold the buffer."""
        batch = Batch(items)
        batch._facts = self._facts
        return batch

    def __missing__(self, name: str) -> Any:
        if self._native is not None and (name == "max_seqlen" or name in _ON_REQUEST):
            return self._make(name)
        raise KeyError(f"{name!r}: this batch has {', '.join(self)}; name what you need in `fields`")

    def _make(self, name: str) -> Any:
        native = self._native
        assert native is not None, "asked for where there is a native batch"
        if name == "max_seqlen":
            return native.max_seqlen
        with translated():
            return self._convert(native.array(name))

    @property
    def epoch(self) -> int:
        """The epoch it belongs to, from 0."""
        return self._known()[0]

    @property
    def sequences(self) -> int:
        """Rows that hold a sequence; fewer than there are rows only at the end of an epoch."""
        return self._known()[1]

    @property
    def token_count(self) -> int:
        """Tokens, padding left out."""
        return self._known()[2]

    def _known(self) -> tuple[int, int, int]:
        if self._facts is None:
            raise AttributeError("this batch was made from another one and has its items only")
        return self._facts
