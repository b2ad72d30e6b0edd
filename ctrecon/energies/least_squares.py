"""``E(u) = 1/2 || W^(1/2) (A u - f) ||^2``: how badly an image explains the data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ctrecon.energies.base import Energy, Point, Ray, along, inner
from ctrecon.energies.rounding import chosen, rounding_of_a_step
from ctrecon.errors import SettingError
from ctrecon.operators.base import LinearOperator


def values_that_count(data: Tensor, weights: Tensor | None) -> Tensor | int:
    """How many values of ``data`` ``[batch, *range_shape]`` have a weight above zero: ``[batch]``, or one number."""
    return data[0].numel() if weights is None else (weights > 0).flatten(1).sum(1).clamp_min(1)


class LeastSquares(Energy):
    """``data`` is ``[batch, *range_shape]``; ``weights`` (>= 0, same shape, or of batch 1) default to 1.

    With ``weights = 1 / variance`` the residual is whitened and E at the true image is half a chi-square.
    Raises SettingError for negative or non-finite weights or data of another shape.
    """

    def __init__(self, operator: LinearOperator, data: Tensor, weights: Tensor | None = None) -> None:
        if tuple(data.shape[1:]) != operator.range_shape:
            raise SettingError(
                f"the data have shape {list(data.shape)}, the operator gives [batch, {list(operator.range_shape)}]"
            )
        if not bool(torch.isfinite(data).all()):
            raise SettingError("the data hold values that are not finite")
        if weights is not None:
            if tuple(weights.shape[1:]) != operator.range_shape or weights.shape[0] not in (1, data.shape[0]):
                raise SettingError(f"the weights have shape {list(weights.shape)}, the data {list(data.shape)}")
            if not bool(torch.isfinite(weights).all()) or bool((weights < 0).any()):
                raise SettingError("the weights must be finite and >= 0")
        self.operator, self.data, self.weights = operator, data, weights

    def at(self, u: Tensor) -> Point:
        return _LeastSquaresPoint(self, u, self.operator(u) - self.data)

    def resumed(self, state: Mapping[str, Any]) -> Point:
        return _LeastSquaresPoint(self, **state)

    @cached_property
    def lipschitz(self) -> float:
        largest = 1.0 if self.weights is None else float(self.weights.max())
        return self.operator.norm() ** 2 * largest

    def weighted(self, r: Tensor) -> Tensor:
        """A residual times the weights.

        Args:
            r: ``[batch, *range_shape]``.

        Returns:
            ``W r``, of the same shape.
        """
        return r if self.weights is None else self.weights * r


class _LeastSquaresPoint(Point):
    def __init__(
        self,
        energy: LeastSquares,
        u: Tensor,
        residual: Tensor,
        last_step: Tensor | None = None,
        last_image: Tensor | None = None,
        drift: Tensor | None = None,
    ) -> None:
        super().__init__(u, last_step)
        self._energy, self._residual, self._last_image = energy, residual, last_image
        # A bound of ``||W^(1/2) (A u - f - residual)||`` per sample; None for 0.
        self._drift = drift

    @property
    def state(self) -> dict[str, Any]:
        carried = {"residual": self._residual, "last_image": self._last_image, "drift": self._drift}
        return {**super().state, **carried}

    @property
    def residual(self) -> Tensor:
        return self._residual

    @property
    def drift(self) -> Tensor:
        return torch.zeros_like(self.value) if self._drift is None else self._drift

    @property
    def doubt(self) -> Tensor:
        return self.drift * (self.discrepancy + self.drift / 2)

    @cached_property
    def _fresh(self) -> _LeastSquaresPoint:
        residual = self._energy.operator(self.u) - self._energy.data
        return _LeastSquaresPoint(self._energy, self.u, residual, self.last_step, self._last_image)

    def fresh(self, which: Tensor | None = None) -> Point:
        if self._drift is None or which is None:
            return self if self._drift is None else self._fresh
        residual = chosen(which, self._fresh.residual, self.residual)
        drift = chosen(which, torch.zeros_like(self._drift), self._drift)
        return _LeastSquaresPoint(self._energy, self.u, residual, self.last_step, self._last_image, drift)

    @cached_property
    def value(self) -> Tensor:
        return 0.5 * inner(self._residual, self._energy.weighted(self._residual))

    @property
    def discrepancy(self) -> Tensor:
        return (2 * self.value).sqrt()

    @cached_property
    def gradient(self) -> Tensor:
        return self._energy.operator.adjoint(self._energy.weighted(self._residual))

    def along(self, *directions: Tensor) -> Ray:
        images = tuple(
            # The way just taken is known in the data already: no projection for it.
            self._last_image if d is self.last_step and self._last_image is not None else self._energy.operator(d)
            for d in directions
        )
        return _LeastSquaresRay(self._energy, self, directions, images)


class _LeastSquaresRay(Ray):
    """A quadratic: ``E = c + slope . tau + 1/2 tau . curvature tau``."""

    def __init__(
        self,
        energy: LeastSquares,
        point: _LeastSquaresPoint,
        directions: tuple[Tensor, ...],
        images: tuple[Tensor, ...],
    ) -> None:
        super().__init__(directions)
        self._energy, self._point, self._images = energy, point, images
        self._weighted = tuple(energy.weighted(image) for image in images)

    @cached_property
    def slope(self) -> Tensor:
        return torch.stack([inner(self._point.residual, image) for image in self._weighted], dim=1)

    @cached_property
    def curvature(self) -> Tensor:
        rows = [torch.stack([inner(a, b) for b in self._weighted], dim=1) for a in self._images]
        return torch.stack(rows, dim=1)

    def value(self, tau: Tensor) -> Tensor:
        tau = tau.double()
        quadratic = torch.einsum("bi,bij,bj->b", tau, self.curvature, tau)
        return (self._point.value + (self.slope * tau).sum(1) + 0.5 * quadratic).clamp_min(0)

    def discrepancy(self, tau: Tensor) -> Tensor:
        return (2 * self.value(tau)).sqrt()

    def reach(self, tau: Tensor, delta: Tensor) -> Tensor:
        """The first root of ``|r + t A s|^2 = delta^2``, by the form that does not cancel."""
        tau = tau.double()
        a = torch.einsum("bi,bij,bj->b", tau, self.curvature, tau)
        b = (self.slope * tau).sum(1)
        c = 2 * self._point.value - delta.double() ** 2
        root = (b * b - a * c).sqrt()
        # b < 0 on a descent: the smaller root is c / (-b + root), NaN where the line misses the sphere.
        t = c / (-b + root)
        t = torch.where(c <= 0, torch.zeros_like(t), t)
        return torch.where((t >= 0) & (t <= 1), t, torch.full_like(t, float("nan")))

    def move(self, tau: Tensor) -> Point:
        step, image = along(self.directions, tau), along(self._images, tau)
        u, residual = self._point.u + step, self._point.residual + image
        lengths = self.curvature.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt()
        misfit = inner(residual, self._energy.weighted(residual)).sqrt()
        size = self._energy.lipschitz**0.5 * inner(u, u).sqrt() + misfit
        drift = self._point.drift + rounding_of_a_step(u.dtype, size, tau, lengths)
        return _LeastSquaresPoint(self._energy, u, residual, last_step=step, last_image=image, drift=drift)
