"""Linear operators on batches of tensors: layers of a network, differentiable any number of times in both modes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property, reduce
from numbers import Real
from typing import SupportsFloat, overload

import torch
from torch import Tensor, nn

from ctrecon.errors import OperatorError
from ctrecon.operators.differentiable import applied
from ctrecon.support.torch_state import plain_torch

# Computed with in float32: their few digits do not carry sums over thousands of pixels.
HALF_PRECISION = (torch.float16, torch.bfloat16)
_MOST_POWER_ITERATIONS = 30


class LinearOperator(nn.Module, ABC):
    """A linear map between batches ``[batch, *domain_shape]`` and ``[batch, *range_shape]``, as a ``torch.nn.Module``.

    A new operator is one class that gives ``_forward`` and ``_adjoint``, each on detached, contiguous tensors with a
    batch of at least one. Everything else is here: ``A(u)``, ``A.adjoint(f)``, ``A.T``, gradients of every order,
    ``torch.func.vmap`` and ``jvp``, sums, products and multiples. float16 and bfloat16 are computed in float32 and
    rounded back.

    ``matched`` says whether ``_adjoint`` is the transpose of ``_forward`` up to rounding; where it is not (ASTRA's
    CUDA pair), ``adjoint_defect`` states how far it may be off.
    """

    matched: bool = True
    adjoint_defect: float = 0.0
    # NumPy's numbers and arrays leave what `2 * A` and `x @ A` mean to the methods below.
    __array_ufunc__ = None
    # The norm is known well enough where an iteration adds less than this share.
    _settled: float = 1e-6

    def __init__(self, domain_shape: tuple[int, ...], range_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.domain_shape = domain_shape
        self.range_shape = range_shape
        self._norm: float | None = None

    @abstractmethod
    def _forward(self, x: Tensor) -> Tensor: ...

    @abstractmethod
    def _adjoint(self, y: Tensor) -> Tensor: ...

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the operator as a matrix: numbers of data and of pixels."""
        return math.prod(self.range_shape), math.prod(self.domain_shape)

    def __call__(self, x: Tensor) -> Tensor:
        """``A x``.

        Args:
            x: ``[batch, *domain_shape]``, floating point, on the operator's device.

        Returns:
            ``[batch, *range_shape]``, in the dtype of ``x``.

        Raises:
            OperatorError: for another shape, dtype, device or type.
        """
        result: Tensor = super().__call__(x)
        return result

    def forward(self, x: Tensor) -> Tensor:
        """``A x``, as ``nn.Module`` names it; call ``A(x)``.

        Args:
            x: ``[batch, *domain_shape]``, floating point, on the operator's device.

        Returns:
            ``[batch, *range_shape]``, in the dtype of ``x``.

        Raises:
            OperatorError: for another shape, dtype, device or type.
        """
        self._check(x, self.domain_shape, "an image")
        return applied(x.to(self._computed_in(x.dtype)), self, False).to(x.dtype)

    def adjoint(self, y: Tensor) -> Tensor:
        """``A^T y``.

        Args:
            y: ``[batch, *range_shape]``, floating point, on the operator's device.

        Returns:
            ``[batch, *domain_shape]``, in the dtype of ``y``.

        Raises:
            OperatorError: for another shape, dtype, device or type.
        """
        self._check(y, self.range_shape, "a sinogram")
        return applied(y.to(self._computed_in(y.dtype)), self, True).to(y.dtype)

    @cached_property
    def T(self) -> LinearOperator:
        """``A^T`` as an operator; ``A.T.T is A``."""
        return Adjoint(self)

    def norm(self) -> float:
        """The operator norm, computed once, by at most 30 power iterations from a seeded start.

        They end where one adds less than a millionth: of scanners in the plane after six or so. In space, where each
        costs much, they begin with what half the resolution gives, and end where one adds less than a five hundredth.

        Returns:
            ``||A||``: a lower bound, within a percent in practice.
        """
        if self._norm is None:
            with plain_torch():
                self._norm = self._power()[0]
        return self._norm

    def _power(self) -> tuple[float, Tensor]:
        """The norm, and about where ``A u`` is longest."""
        x, norm = self._guess(), 0.0
        for _ in range(_MOST_POWER_ITERATIONS):
            x = x / torch.linalg.vector_norm(x)
            y = self(x)
            last, norm = norm, float(torch.linalg.vector_norm(y))
            if norm <= (1 + self._settled) * last:  # also where both are 0
                break
            x = self.adjoint(y)
        return norm, x

    def _guess(self) -> Tensor:
        """Where the iterations begin, ``[1, *domain_shape]``."""
        generator = torch.Generator().manual_seed(0)
        return torch.rand((1, *self.domain_shape), generator=generator, dtype=torch.float32).to(self._probe())

    def halved(self) -> LinearOperator | None:
        """The same scan at half its resolution, where a solver takes cheap first steps (``volume/halved.py``).

        Returns:
            The operator; None where there is none, or the scan is too small.
        """
        return None

    @overload
    def __matmul__(self, other: Tensor) -> Tensor: ...
    @overload
    def __matmul__(self, other: LinearOperator) -> LinearOperator: ...
    def __matmul__(self, other: Tensor | LinearOperator) -> Tensor | LinearOperator:
        """``A @ u`` is ``A(u)``; ``A @ B`` is the operator ``u -> A(B(u))``."""
        return Product(self, other) if isinstance(other, LinearOperator) else self(other)

    def __add__(self, other: LinearOperator) -> LinearOperator:
        return Sum(self, other) if isinstance(other, LinearOperator) else NotImplemented

    def __sub__(self, other: LinearOperator) -> LinearOperator:
        return Sum(self, Multiple(-1.0, other)) if isinstance(other, LinearOperator) else NotImplemented

    def __rmul__(self, factor: SupportsFloat) -> LinearOperator:
        return Multiple(float(factor), self) if isinstance(factor, Real) else NotImplemented

    def __truediv__(self, divisor: SupportsFloat) -> LinearOperator:
        return Multiple(1 / float(divisor), self) if isinstance(divisor, Real) and divisor else NotImplemented

    def __neg__(self) -> LinearOperator:
        return Multiple(-1.0, self)

    def __repr__(self) -> str:
        more = self.extra_repr()
        return f"{type(self).__name__}({list(self.domain_shape)} -> {list(self.range_shape)}{more and '; ' + more})"

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> LinearOperator:
        """What ``to``, ``double``, ``half`` and the like come down to, in ``nn.Module``."""
        probe = fn(self._probe())
        self._settle(probe.device, self._computed_in(probe.dtype))
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def _settle(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move what the operator holds outside of buffers, or raise OperatorError where it cannot work there."""

    def know_norm(self, norm: float) -> None:
        """State ``||A||`` where it is known already, say from a geometry of the same shape; saves 60 products.

        Args:
            norm: What ``norm()`` gives from now on.
        """
        self._norm = norm

    def _probe(self) -> Tensor:
        """An empty tensor of the dtype and on the device the operator works with."""
        return torch.empty(0, dtype=torch.float32)

    def _computed_in(self, dtype: torch.dtype) -> torch.dtype:
        """The dtype in which values of ``dtype`` are computed."""
        return torch.float32 if dtype in HALF_PRECISION else dtype

    def _check(self, x: object, shape: tuple[int, ...], what: str) -> None:
        name = type(self).__name__
        wanted = f"{what} of shape [batch, {', '.join(map(str, shape))}]"
        if not isinstance(x, Tensor):
            got = f"{type(x).__name__} of shape {list(x.shape)}" if hasattr(x, "shape") else type(x).__name__
            raise OperatorError(f"{name} takes {wanted} as a torch tensor, got {got}; use torch.as_tensor(x)")
        # Before its shape: a nested tensor has none.
        if x.is_nested or x.layout is not torch.strided:
            kind, remedy = ("nested", "torch.stack") if x.is_nested else ("sparse", "x.to_dense()")
            raise OperatorError(f"{name} takes {wanted} as a dense tensor, got a {kind} one; use {remedy}")
        if x.ndim != len(shape) + 1 or tuple(x.shape[1:]) != shape:
            missing = tuple(x.shape) in (shape, shape[1:])
            raise OperatorError(
                f"{name} takes {wanted}, got {list(x.shape)}"
                + (f"; use x.reshape(1, {', '.join(map(str, shape))})" if missing else "")
            )
        if not x.is_floating_point():
            raise OperatorError(f"{name} takes floating point values, got {x.dtype}; use x.float()")


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

    def _computed_in(self, dtype: torch.dtype) -> torch.dtype:
        return self._operator._computed_in(dtype)

    def extra_repr(self) -> str:
        return f"of {type(self._operator).__name__}"

    @cached_property
    def T(self) -> LinearOperator:
        return self._operator


class Product(LinearOperator):
    """``u -> A(B(u))``, written ``A @ B``. Raises OperatorError where B gives other images than A takes."""

    def __init__(self, outer: LinearOperator, inner: LinearOperator) -> None:
        if outer.domain_shape != inner.range_shape:
            raise OperatorError(
                f"A @ B: A takes {list(outer.domain_shape)}, but B gives {list(inner.range_shape)}; are they exchanged?"
            )
        super().__init__(inner.domain_shape, outer.range_shape)
        self._outer, self._inner = outer, inner
        _state_defect(self, outer, inner)

    def _forward(self, x: Tensor) -> Tensor:
        return self._outer._forward(self._inner._forward(x).contiguous())

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._inner._adjoint(self._outer._adjoint(y).contiguous())

    def _probe(self) -> Tensor:
        return self._inner._probe()

    def _computed_in(self, dtype: torch.dtype) -> torch.dtype:
        return widest(dtype, self._outer, self._inner)

    def extra_repr(self) -> str:
        return f"{type(self._outer).__name__} @ {type(self._inner).__name__}"


class Sum(LinearOperator):
    """``u -> A(u) + B(u)``, written ``A + B``. Raises OperatorError for other shapes."""

    def __init__(self, first: LinearOperator, second: LinearOperator) -> None:
        shapes = [(list(one.domain_shape), list(one.range_shape)) for one in (first, second)]
        if shapes[0] != shapes[1]:
            (a, b), (c, d) = shapes
            raise OperatorError(f"A + B: A maps {a} to {b}, but B maps {c} to {d}; only equal shapes add up")
        super().__init__(first.domain_shape, first.range_shape)
        self._first, self._second = first, second
        _state_defect(self, first, second)

    def _forward(self, x: Tensor) -> Tensor:
        return self._first._forward(x) + self._second._forward(x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._first._adjoint(y) + self._second._adjoint(y)

    def _probe(self) -> Tensor:
        return self._first._probe()

    def _computed_in(self, dtype: torch.dtype) -> torch.dtype:
        return widest(dtype, self._first, self._second)

    def extra_repr(self) -> str:
        return f"{type(self._first).__name__} + {type(self._second).__name__}"


class Multiple(LinearOperator):
    """``u -> a A(u)``, written ``a * A``. Raises OperatorError for a factor that is not finite."""

    def __init__(self, factor: float, operator: LinearOperator) -> None:
        if not math.isfinite(factor):
            raise OperatorError(f"an operator's factor must be finite, got {factor}")
        super().__init__(operator.domain_shape, operator.range_shape)
        self.factor, self._operator = float(factor), operator
        _state_defect(self, operator)

    def norm(self) -> float:
        """The operator norm, from that of A.

        Returns:
            ``|a| ||A||``.
        """
        return abs(self.factor) * self._operator.norm()

    def _forward(self, x: Tensor) -> Tensor:
        return self.factor * self._operator._forward(x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self.factor * self._operator._adjoint(y)

    def _probe(self) -> Tensor:
        return self._operator._probe()

    def _computed_in(self, dtype: torch.dtype) -> torch.dtype:
        return self._operator._computed_in(dtype)

    def extra_repr(self) -> str:
        return f"{self.factor:g} * {type(self._operator).__name__}"


def widest(dtype: torch.dtype, *parts: LinearOperator) -> torch.dtype:
    """The dtype in which all ``parts`` compute values of ``dtype``."""
    return reduce(torch.promote_types, [part._computed_in(dtype) for part in parts])


def _state_defect(whole: LinearOperator, *parts: LinearOperator) -> None:
    """A composition is matched where its parts are; where not, their defects add up, about."""
    whole.matched = all(part.matched for part in parts)
    whole.adjoint_defect = sum(part.adjoint_defect for part in parts)
