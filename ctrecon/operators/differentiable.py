"""A pair of linear maps as one function that torch can differentiate, in both modes and any number of times."""

from __future__ import annotations

import inspect
from typing import Any, Protocol

import torch
from torch import Tensor

from ctrecon.support.torch_state import plain_torch


class Pair(Protocol):
    """What is needed of an operator: its two maps, on detached, contiguous tensors of at least one sample."""

    @property
    def domain_shape(self) -> tuple[int, ...]: ...
    @property
    def range_shape(self) -> tuple[int, ...]: ...
    def _forward(self, x: Tensor) -> Tensor: ...
    def _adjoint(self, y: Tensor) -> Tensor: ...


class _Apply(torch.autograd.Function):
    """``A x`` or ``A^T y``. The derivative of each is it or the other again, so those of every order come free."""

    @staticmethod
    def forward(x: Tensor, operator: Pair, transposed: bool) -> Tensor:
        if x.shape[0] == 0:
            return x.new_zeros((0, *(operator.domain_shape if transposed else operator.range_shape)))
        apply = operator._adjoint if transposed else operator._forward
        with plain_torch():  # autocast has no say in what dtype a product is computed; nor where, as its derivative is
            return apply(x.detach().contiguous())

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Pair, bool], output: Tensor) -> None:
        _, ctx.operator, ctx.transposed = inputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return applied(grads[0], ctx.operator, not ctx.transposed), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        return applied(tangents[0], ctx.operator, ctx.transposed)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], x: Tensor, operator: Pair, transposed: bool
    ) -> tuple[Tensor, int]:
        """The mapped axis rides in the batch."""
        assert in_dims[0] is not None
        many = x.movedim(in_dims[0], 0)
        done = applied(many.flatten(0, 1), operator, transposed)
        return done.reshape((*many.shape[:2], *done.shape[1:])), 0


# torch binds the arguments of every call to the signature of ``forward``; found anew each time, it costs a small
# product as much as all else of it.
_Apply.forward.__signature__ = inspect.signature(_Apply.forward)  # type: ignore[attr-defined]


def applied(x: Tensor, operator: Pair, transposed: bool) -> Tensor:
    """``A x``, or ``A^T x`` where ``transposed``."""
    result: Tensor = _Apply.apply(x, operator, transposed)  # type: ignore[no-untyped-call]
    return result
