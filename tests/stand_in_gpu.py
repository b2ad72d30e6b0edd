"""A GPU that this machine does not have: tensors that say they are on ``cuda:0`` and refuse to be mixed with others.

They live in main memory, so they compute what a GPU computes, but they have a GPU's manners: an operation on tensors of
two devices raises, and so does NumPy. What only CUDA has (ASTRA's kernels, half precision, memory) it does not show.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

GPU = torch.device("cuda", 0)
# What may take tensors of two devices on a real GPU, too.
_CROSSING = (Tensor.copy_, Tensor.to, Tensor.__getitem__, Tensor.__setitem__, Tensor.as_subclass)


class OnGpu(torch.Tensor):
    """A tensor that says it is on ``cuda:0``."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func == Tensor.device.__get__:
            return GPU
        if func == Tensor.is_cuda.__get__:
            return True
        if func in (Tensor.numpy, Tensor.__array__):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() first.")
        name = getattr(func, "__name__", "")
        if func not in _CROSSING and name not in ("__get__", "_has_compatible_shallow_copy_type"):
            _one_device([*args, *kwargs.values()])
        target = GPU
        if name == "cpu":
            target = torch.device("cpu")
        elif name == "to" or "device" in kwargs:
            args, kwargs, named = _here(func, args, kwargs)
            target = named or GPU
        if func is torch.sparse_csr_tensor:
            return SparseOnGpu(func(*(one.as_subclass(Tensor) for one in args), **kwargs))
        found = super().__torch_function__(func, types, args, kwargs)
        return found if target.type == "cuda" else _as(found, Tensor)


class SparseOnGpu:
    """A sparse matrix that says it is on ``cuda:0``, as far as products need: torch subclasses dense tensors only."""

    def __init__(self, matrix: Tensor) -> None:
        self._matrix, self.dtype, self.device, self.shape = matrix, matrix.dtype, GPU, matrix.shape

    def values(self) -> Tensor:
        return self._matrix.values().as_subclass(OnGpu)

    def __matmul__(self, x: Tensor) -> Tensor:
        if not isinstance(x, OnGpu):
            raise RuntimeError("Expected all tensors to be on the same device, but found at least two: cuda:0 and cpu!")
        return (self._matrix @ x.as_subclass(Tensor)).as_subclass(OnGpu)


class StandIn(TorchFunctionMode):
    """While active, ``device="cuda"`` gives tensors ``OnGpu``."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if getattr(func, "__name__", "") == "cuda" and args and isinstance(args[0], Tensor):
            return _as(args[0], OnGpu)
        if isinstance(args[0] if args else None, OnGpu):
            return OnGpu.__torch_function__(func, types, args, kwargs)
        args, kwargs, named = _here(func, args, kwargs)
        found = func(*args, **kwargs)
        return _as(found, OnGpu) if named is not None and named.type == "cuda" else found


def _here(func: Any, args: Any, kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any], torch.device | None]:
    """The arguments with every device made the CPU, and the device that they named."""
    named: torch.device | None = None
    if kwargs.get("device") is not None:
        named = torch.device(kwargs["device"])
        kwargs = {**kwargs, "device": "cpu"}
    if func is Tensor.to:
        places = list(args)
        for k, value in enumerate(places[1:], start=1):
            if isinstance(value, str | torch.device):
                named, places[k] = torch.device(value), "cpu"
            elif isinstance(value, Tensor):
                named, places[k] = value.device, value.as_subclass(Tensor)
        args = tuple(places)
    return args, kwargs, named


def _one_device(values: list[Any]) -> None:
    flat: list[Tensor] = []
    for value in values:
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, Tensor) and one.ndim > 0:
                flat.append(one)
    if any(isinstance(one, OnGpu) for one in flat) and not all(isinstance(one, OnGpu) for one in flat):
        raise RuntimeError("Expected all tensors to be on the same device, but found at least two: cuda:0 and cpu!")


def _as(found: Any, kind: type[Tensor]) -> Any:
    if isinstance(found, Tensor):
        if kind is OnGpu and found.layout != torch.strided:
            return SparseOnGpu(found)
        return found.as_subclass(kind)
    if isinstance(found, tuple | list):
        return type(found)(_as(one, kind) for one in found)
    return found


@contextmanager
def stand_in_gpu() -> Iterator[None]:
    """A machine with a GPU, for the time of the block."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    with pytest.MonkeyPatch.context() as patch, StandIn():
        patch.setattr(torch.cuda, "is_available", lambda: True)
        patch.setattr(torch.cuda, "mem_get_info", lambda *_: (8 << 30, 16 << 30))
        # A module's parameters are otherwise given other data but keep their class.
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            yield
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(before)
