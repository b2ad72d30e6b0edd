"""Points of an energy that nothing makes cheaper along a ray: there it is computed anew, point by point."""

from __future__ import annotations

from abc import abstractmethod
from functools import cached_property
from typing import Self

import torch
from torch import Tensor

from ctrecon.energies.points import Point, Ray, along, inner, scaled, semidefinite


class SteppingPoint(Point):
    """A point that knows how its gradient bends, and the point a step away."""

    @abstractmethod
    def bends(self, *directions: Tensor) -> list[Tensor]:
        """``H(u) d`` for each direction, of length one in each sample, or a model of it."""

    @abstractmethod
    def moved(self, step: Tensor) -> Self:
        """The point at ``u + step``."""

    def along(self, *directions: Tensor) -> Ray:
        return SteppingRay(self, directions)


class SteppingRay(Ray):
    """``curvature`` is that of ``bends`` at the point, without what is negative in it."""

    def __init__(self, point: SteppingPoint, directions: tuple[Tensor, ...]) -> None:
        super().__init__(directions)
        self._point = point
        self._tried: tuple[Tensor, SteppingPoint] | None = None

    @cached_property
    def slope(self) -> Tensor:
        return torch.stack([inner(self._point.gradient, d) for d in self.directions], dim=1)

    @cached_property
    def curvature(self) -> Tensor:
        lengths = torch.stack([norm(d) for d in self.directions], dim=1)
        inverse = 1 / lengths.T.clamp_min(1e-300)
        units = [scaled(one, d).to(d) for one, d in zip(inverse, self.directions, strict=True)]
        bends = self._point.bends(*units)
        model = torch.stack([torch.stack([inner(bend, one) for one in units], dim=1) for bend in bends], dim=1)
        curvature: Tensor = lengths[:, :, None] * semidefinite(model) * lengths[:, None, :]
        return curvature

    def value(self, tau: Tensor) -> Tensor:
        return self._point.value if not bool(tau.any()) else self._reached(tau).value

    def move(self, tau: Tensor) -> Point:
        return self._reached(tau)

    def _reached(self, tau: Tensor) -> SteppingPoint:
        """A step search looks at the point it then moves to: it is computed once."""
        if self._tried is None or not torch.equal(self._tried[0], tau):
            self._tried = (tau.clone(), self._point.moved(along(self.directions, tau)))
        return self._tried[1]


def norm(u: Tensor) -> Tensor:
    """``|u_i|`` for each sample: ``[batch]``, float64."""
    return inner(u, u).sqrt()
