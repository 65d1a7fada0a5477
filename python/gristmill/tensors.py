"""Native memory as PyTorch has it. Nothing here is loaded where there is no PyTorch."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

import numpy as np

from ._native import Array
from .batch import Convert, to_numpy
from .device import Mover, Statics, cuda
from .errors import GristmillError


def wants_torch(as_numpy: bool | None) -> bool:
    """Whether tensors are asked for; when nothing was said, they are if there is PyTorch."""
    return as_numpy is False or (as_numpy is None and importlib.util.find_spec("torch") is not None)


def converter(as_numpy: bool | None, dtypes: Mapping[str, str]) -> Convert:
    """Makes numpy arrays or tensors, views of native memory both."""
    if not wants_torch(as_numpy):
        if "bfloat16" in dtypes.values():
            raise GristmillError("GM_CONFIG", "option 'dtype': numpy has no bfloat16; PyTorch has, with as_numpy=False")
        return to_numpy
    try:
        import torch
    except ImportError as error:
        raise GristmillError("GM_CONFIG", "option 'as_numpy': False asks for PyTorch, which is not installed") from error

    def to_torch(array: Array) -> Any:
        tensor = torch.from_numpy(np.asarray(array))
        return tensor.view(torch.bfloat16) if array.dtype == "bfloat16" else tensor

    return to_torch


def mover(device: Any, statics: Statics, as_numpy: bool | None) -> Mover | None:
    """What copies batches to a device; ``None`` when they stay in the memory of the host."""
    if device is None:
        return None
    if as_numpy:
        raise GristmillError("GM_CONFIG", "option 'device': numpy arrays stay in the memory of the host")
    torch = cuda("device")
    wanted = torch.device(device)
    if wanted.type != "cuda":
        raise GristmillError("GM_CONFIG", f"option 'device': batches go to CUDA devices, not to {wanted}; leave it out")
    return Mover(wanted, statics)


def stream_of(loader: type[Any]) -> type[Any]:
    """The class as an IterableDataset too, which is what a DataLoader takes for a stream; made once."""
    if loader not in _STREAMS:
        from torch.utils.data import IterableDataset

        names = {"__module__": loader.__module__, "__doc__": loader.__doc__}
        _STREAMS[loader] = type(loader.__name__, (loader, IterableDataset), names)
    return _STREAMS[loader]


_STREAMS: dict[type[Any], type[Any]] = {}
