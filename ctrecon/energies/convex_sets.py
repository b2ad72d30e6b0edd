"""Closed convex sets, each known by its projection: the nearest point of the set, for every sample of a batch.

A set is anything with ``project``; what is not here is one class in a file of its own. Sets that constrain parts of a
tensor by themselves (each column, each block) say along which ``axes`` the parts run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from ctrecon.energies.base import inner
from ctrecon.errors import SettingError


class ConvexSet(Protocol):
    """A closed convex set of tensors ``[*shape]``."""

    def project(self, u: Tensor) -> Tensor:
        """The nearest point of the set to each sample of ``u`` ``[batch, *shape]``: of the same shape."""
        ...


def _exact(value: float | Tensor) -> Tensor:
    """Numbers become float64: torch's own choice would round 0.3 to float32."""
    return value if isinstance(value, Tensor) else torch.tensor(value, dtype=torch.float64)


class Box:
    """``lower <= u <= upper``: numbers, or tensors that broadcast with ``u`` (infinite where there is no bound).

    Raises SettingError where no number lies between the bounds.
    """

    def __init__(self, lower: float | Tensor, upper: float | Tensor) -> None:
        self.lower, self.upper = _exact(lower), _exact(upper)
        # Compared this way round so that NaN is refused too.
        if not bool((self.lower <= self.upper).all()):
            raise SettingError(f"a box needs lower <= upper everywhere, got {lower} and {upper}")

    def project(self, u: Tensor) -> Tensor:
        return torch.minimum(torch.maximum(u, self.lower.to(u)), self.upper.to(u))


class Fixed:
    """``u = values`` at the entries ``where`` (bool), free elsewhere; both broadcast with ``u``.

    Raises SettingError for values that are not finite.
    """

    def __init__(self, where: Tensor, values: float | Tensor) -> None:
        self.where, self.values = where.bool(), _exact(values)
        if not bool((torch.isfinite(self.values) | ~self.where).all()):
            raise SettingError("the fixed entries must be finite; leave the others out by where = False")

    def project(self, u: Tensor) -> Tensor:
        return torch.where(self.where.to(u.device), self.values.to(u), u)


class HalfSpaceSet:
    """``<normal, u> <= bound``: ``normal`` ``[*shape]`` or ``[batch or 1, *shape]``, ``bound`` a number or ``[batch]``.

    Raises SettingError for a normal that is zero or not finite.
    """

    def __init__(self, normal: Tensor, bound: float | Tensor) -> None:
        self.normal, self.bound = normal, torch.as_tensor(bound, dtype=torch.float64)
        if not bool(torch.isfinite(normal).all()) or not bool(normal.any()):
            raise SettingError("the normal of a half-space must be finite and not zero")
        if bool(torch.isnan(self.bound).any()):
            raise SettingError("the bound of a half-space is not a number")

    def project(self, u: Tensor) -> Tensor:
        n = self.normal.to(u).expand_as(u)
        excess = (inner(n, u) - self.bound.to(u.device)).clamp_min(0) / inner(n, n)
        return u - excess.to(u).view(-1, *(1,) * (u.ndim - 1)) * n


class Affine:
    """``A u = b`` for a dense ``A`` ``[m, n]`` of full row rank and samples of ``n`` entries; ``b`` is ``[m]`` or
    ``[batch, m]``.

    The projection is ``u - A^T (A A^T)^(-1) (A u - b)``, by a Cholesky factor kept in float64.
    Raises SettingError where the shapes do not fit or the rows depend on each other.
    """

    def __init__(self, matrix: Tensor, b: Tensor) -> None:
        if matrix.ndim != 2 or b.ndim not in (1, 2) or b.shape[-1] != matrix.shape[0]:
            raise SettingError(f"A u = b needs A [m, n] and b [m], got {list(matrix.shape)} and {list(b.shape)}")
        if not bool(torch.isfinite(matrix).all()) or not bool(torch.isfinite(b).all()):
            raise SettingError("A and b must be finite")
        self.matrix, self.b = matrix.double(), b.double()
        rank = int(torch.linalg.matrix_rank(self.matrix))
        if rank < matrix.shape[0]:
            raise SettingError(f"A has {matrix.shape[0]} rows but rank {rank}: leave out rows that depend on others")
        self._factor = torch.linalg.cholesky(self.matrix @ self.matrix.T)

    def project(self, u: Tensor) -> Tensor:
        flat, A = u.double().flatten(1), self.matrix.to(u.device)
        if flat.shape[1] != A.shape[1]:
            raise SettingError(f"A has {A.shape[1]} columns, a sample {flat.shape[1]} entries")
        residual = flat @ A.T - self.b.to(u.device)
        multipliers = torch.cholesky_solve(residual.T, self._factor.to(u.device)).T
        return (flat - multipliers @ A).to(u).view_as(u)


class _Grouped:
    """Shares how a tensor is cut into vectors: along ``axes``, after a look at it as ``[batch, *view]``.

    ``axes`` count as in the viewed tensor, where axis 0 is the batch; None takes whole samples. ``view`` reaches
    groups that are no axes of ``u``: the 3 x 3 fields of ``[batch, 9, 9]`` are the axes 2 and 4 of
    ``[batch, 3, 3, 3, 3]``.
    """

    def __init__(self, axes: int | tuple[int, ...] | None, view: tuple[int, ...] | None) -> None:
        self.axes = (axes,) if isinstance(axes, int) else axes
        self.view = view

    def each(self, project: Callable[[Tensor], Tensor], u: Tensor) -> Tensor:
        """``project``, which works on vectors ``[..., length]``, applied to all vectors of ``u``."""
        viewed = u if self.view is None else self._viewed(u, self.view)
        axes = tuple(range(1, viewed.ndim)) if self.axes is None else self.axes
        if not all(-viewed.ndim < axis < viewed.ndim and axis % viewed.ndim for axis in axes):
            raise SettingError(f"axes must lie between 1 and {viewed.ndim - 1} (0 is the batch), got {axes}")
        last = tuple(range(-len(axes), 0))
        moved = viewed.movedim(axes, last)
        projected = project(moved.flatten(-len(axes)))
        return projected.reshape(moved.shape).movedim(last, axes).reshape(u.shape)

    @staticmethod
    def _viewed(u: Tensor, view: tuple[int, ...]) -> Tensor:
        if math.prod(view) != math.prod(u.shape[1:]):
            raise SettingError(f"a sample {list(u.shape[1:])} cannot be viewed as {list(view)}")
        return u.reshape(-1, *view)


def _onto_simplex(v: Tensor, total: float) -> Tensor:
    """The nearest ``x >= 0`` with ``sum x = total`` for vectors ``[..., length]``: ``max(v - theta, 0)``.

    M. Held, P. Wolfe, H. Crowder, Math. Programming 6 (1974): theta follows from the sorted entries.
    """
    falling = v.sort(dim=-1, descending=True).values
    count = torch.arange(1, v.shape[-1] + 1, dtype=v.dtype, device=v.device)
    theta = (falling.cumsum(-1) - total) / count
    # Entry k stays positive as long as it exceeds its theta, and that holds for the first ones only.
    positive = (falling > theta).sum(-1, keepdim=True).clamp_min(1)
    return (v - theta.gather(-1, positive - 1)).clamp_min(0)


def _positive(name: str, value: float) -> float:
    if not (math.isfinite(value) and value > 0):
        raise SettingError(f"{name} must be finite and > 0, got {value}")
    return value


class Simplex(_Grouped):
    """``u >= 0`` and ``sum u = total`` along ``axes``: each vector there is a probability (for ``total = 1``).

    Raises SettingError for a total that is not > 0; for axes or a view that do not fit, when projecting.
    """

    def __init__(
        self, axes: int | tuple[int, ...] | None = None, *, total: float = 1.0, view: tuple[int, ...] | None = None
    ) -> None:
        super().__init__(axes, view)
        self.total = _positive("the total of a simplex", total)

    def project(self, u: Tensor) -> Tensor:
        return self.each(lambda v: _onto_simplex(v, self.total), u)


class L1Ball(_Grouped):
    """``sum |u| <= radius`` along ``axes`` (whole samples by default).

    The projection is a simplex's, of the magnitudes (J. Duchi and others, ICML 2008).
    Raises SettingError for a radius that is not > 0; for axes or a view that do not fit, when projecting.
    """

    def __init__(
        self, radius: float, axes: int | tuple[int, ...] | None = None, *, view: tuple[int, ...] | None = None
    ) -> None:
        super().__init__(axes, view)
        self.radius = _positive("the radius of an l1 ball", radius)

    def project(self, u: Tensor) -> Tensor:
        return self.each(self._nearest, u)

    def _nearest(self, v: Tensor) -> Tensor:
        on = v.sign() * _onto_simplex(v.abs(), self.radius)
        inside = v.abs().sum(-1, keepdim=True) <= self.radius
        return torch.where(inside, v, on)


class SecondOrderCone(_Grouped):
    """``|x| <= slope * t`` for vectors ``(t, x)`` along ``axes``: their first entry bounds the length of the others.

    Raises SettingError for a slope that is not > 0; for axes or a view that do not fit, when projecting.
    """

    def __init__(
        self, axes: int | tuple[int, ...] | None = None, *, slope: float = 1.0, view: tuple[int, ...] | None = None
    ) -> None:
        super().__init__(axes, view)
        self.slope = _positive("the slope of a cone", slope)

    def project(self, u: Tensor) -> Tensor:
        return self.each(self._nearest, u)

    def _nearest(self, v: Tensor) -> Tensor:
        t, x, a = v[..., :1], v[..., 1:], self.slope
        length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        # In the polar cone everything goes to the apex, between the two onto the mantle's line.
        height = ((t + a * length) / (1 + a * a)).clamp_min(0)
        shrunk = a * height / length.clamp_min(torch.finfo(v.dtype).tiny)
        on = torch.cat([height, shrunk * x], dim=-1)
        return torch.where(length <= a * t, v, on)
