"""Linear operators on batches of tensors, differentiable any number of times."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ctrecon.errors import OperatorError


class _Apply(torch.autograd.Function):
    """``A x`` or ``A^T y``. The backward of one is the other, so gradients of every order come free."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, operator: LinearOperator, transposed: bool) -> Tensor:
        ctx.operator, ctx.transposed = operator, transposed
        apply = operator._adjoint if transposed else operator._forward
        return apply(x.detach().contiguous())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None]:
        return _apply(grads[0], ctx.operator, not ctx.transposed), None, None


def _apply(x: Tensor, operator: LinearOperator, transposed: bool) -> Tensor:
    result: Tensor = _Apply.apply(x, operator, transposed)  # type: ignore[no-untyped-call]
    return result


class LinearOperator(ABC):
    """A linear map between batches ``[batch, *domain_shape]`` and ``[batch, *range_shape]``.

    Subclasses give ``_forward`` and ``_adjoint`` on detached, contiguous tensors.
    ``matched`` says whether ``_adjoint`` is the transpose of ``_forward`` up to rounding; where it is not (ASTRA's
    CUDA pair), ``adjoint_defect`` states how far it may be off.
    """

    matched: bool = True
    adjoint_defect: float = 0.0

    def __init__(self, domain_shape: tuple[int, ...], range_shape: tuple[int, ...]) -> None:
        self.domain_shape = domain_shape
        self.range_shape = range_shape
        self._norm: float | None = None

    @abstractmethod
    def _forward(self, x: Tensor) -> Tensor: ...

    @abstractmethod
    def _adjoint(self, y: Tensor) -> Tensor: ...

    def __call__(self, x: Tensor) -> Tensor:
        """``A x``: ``[batch, *domain_shape] -> [batch, *range_shape]``. Raises OperatorError for another shape."""
        self._check(x, self.domain_shape, "an image")
        return _apply(x, self, False)

    def adjoint(self, y: Tensor) -> Tensor:
        """``A^T y``: ``[batch, *range_shape] -> [batch, *domain_shape]``. Raises OperatorError for another shape."""
        self._check(y, self.range_shape, "a sinogram")
        return _apply(y, self, True)

    @cached_property
    def T(self) -> LinearOperator:
        """``A^T`` as an operator; ``A.T.T is A``."""
        return Adjoint(self)

    def norm(self) -> float:
        """``||A||``, by 30 power iterations from a seeded start (a lower bound, within a percent in practice)."""
        if self._norm is None:
            generator = torch.Generator().manual_seed(0)
            x = torch.rand((1, *self.domain_shape), generator=generator).to(self._probe())
            norm = 0.0
            for _ in range(30):
                x = x / torch.linalg.vector_norm(x)
                y = self(x)
                norm = float(torch.linalg.vector_norm(y))
                if norm == 0.0:
                    break
                x = self.adjoint(y)
            self._norm = norm
        return self._norm

    def _probe(self) -> Tensor:
        """An empty tensor of the dtype and on the device the operator works with."""
        return torch.empty(0)

    def _check(self, x: Tensor, shape: tuple[int, ...], what: str) -> None:
        if x.ndim != len(shape) + 1 or tuple(x.shape[1:]) != shape:
            raise OperatorError(
                f"{type(self).__name__} takes {what} of shape [batch, {', '.join(map(str, shape))}], "
                f"got {list(x.shape)}"
            )
        if not x.is_floating_point():
            raise OperatorError(f"{type(self).__name__} takes floating point values, got {x.dtype}")


class Adjoint(LinearOperator):
    """The transpose of an operator, as an operator."""

    def __init__(self, operator: LinearOperator) -> None:
        super().__init__(operator.range_shape, operator.domain_shape)
        self._operator = operator
        self.matched = operator.matched
        self.adjoint_defect = operator.adjoint_defect

    def _forward(self, x: Tensor) -> Tensor:
        return self._operator._adjoint(x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._operator._forward(y)

    def _probe(self) -> Tensor:
        return self._operator._probe()

    @cached_property
    def T(self) -> LinearOperator:
        return self._operator
