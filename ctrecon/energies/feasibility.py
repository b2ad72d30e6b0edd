"""``E(u) = 1 / (2 N) sum_i dist(u, C_i)^2``: how far an image is from lying in all of N convex sets at once.

"Controlling Neural Networks via Energy Dissipation", equation (25). The gradient is ``1 / N sum_i (u - P_i u)``, so
gradient descent with step 1 is the method of averaged projections; a network may go elsewhere, and still arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from ctrecon.energies.base import Energy, Point, Ray, along, inner, scaled
from ctrecon.energies.convex_sets import ConvexSet
from ctrecon.energies.points import semidefinite
from ctrecon.errors import SettingError


class Feasibility(Energy):
    """The distance energy of ``sets``, anything with ``project``.

    ``E(u) <= e`` says that ``u`` is within ``sqrt(2 N e)`` of each set.
    Where the sets have a common point ``u*``, ``<-grad E(u), u* - u> >= 2 E(u)``: the way there always descends.
    Raises SettingError without sets.
    """

    def __init__(self, sets: Sequence[ConvexSet]) -> None:
        if not sets:
            raise SettingError("a feasibility problem needs at least one set")
        self.sets = tuple(sets)

    def at(self, u: Tensor) -> Point:
        return _FeasibilityPoint(self, u)

    @property
    def lipschitz(self) -> float:
        """1: ``I - P`` is firmly non-expansive for every convex set, and so is the mean."""
        return 1.0


class _FeasibilityPoint(Point):
    def __init__(self, energy: Feasibility, u: Tensor, last_step: Tensor | None = None) -> None:
        super().__init__(u, last_step)
        self._energy = energy

    @cached_property
    def _value_and_gradient(self) -> tuple[Tensor, Tensor]:
        """Both come from the same projections, each made once."""
        count = len(self._energy.sets)
        value = torch.zeros(self.u.shape[0], dtype=torch.float64, device=self.u.device)
        gradient = torch.zeros_like(self.u)
        for one in self._energy.sets:
            away = self.u - one.project(self.u)
            value = value + inner(away, away) / (2 * count)
            gradient = gradient + away / count
        return value, gradient

    @property
    def value(self) -> Tensor:
        return self._value_and_gradient[0]

    @property
    def gradient(self) -> Tensor:
        return self._value_and_gradient[1]

    def along(self, *directions: Tensor) -> Ray:
        return _FeasibilityRay(self._energy, self, directions)


class _FeasibilityRay(Ray):
    """``curvature`` is that of the faces around the point: exact until a projection changes its face.

    The identity would be a bound (E is 1-smooth), but the model it gives is lowest at the negative gradient: a step
    in the span of several directions would never take the one that knows more.
    """

    def __init__(self, energy: Feasibility, point: _FeasibilityPoint, directions: tuple[Tensor, ...]) -> None:
        super().__init__(directions)
        self._energy, self._point = energy, point
        self._tried: tuple[Tensor, _FeasibilityPoint] | None = None

    @cached_property
    def slope(self) -> Tensor:
        return torch.stack([inner(self._point.gradient, d) for d in self.directions], dim=1)

    @cached_property
    def curvature(self) -> Tensor:
        """Differences of gradients, because a set need not be differentiable by torch: a projection per direction."""
        u, gradient = self._point.u, self._point.gradient
        lengths = torch.stack([_norm(d) for d in self.directions], dim=1)
        inverse = 1 / lengths.T.clamp_min(1e-300)
        units = [scaled(one, d).to(d) for one, d in zip(inverse, self.directions, strict=True)]
        # Rounding falls with the step, faces left behind grow with it.
        step = (torch.finfo(u.dtype).eps ** (1 / 3) * (_norm(u) + _norm(gradient))).clamp_min(1e-30)
        bends = [self._energy.at(u + scaled(step, one).to(u)).gradient - gradient for one in units]
        model = torch.stack([torch.stack([inner(bend, one) for one in units], dim=1) for bend in bends], dim=1)
        model = model / step[:, None, None]
        curvature: Tensor = lengths[:, :, None] * semidefinite(model) * lengths[:, None, :]
        return curvature

    def value(self, tau: Tensor) -> Tensor:
        return self._point.value if not bool(tau.any()) else self._reached(tau).value

    def move(self, tau: Tensor) -> Point:
        return self._reached(tau)

    def _reached(self, tau: Tensor) -> _FeasibilityPoint:
        """A step search looks at the point it then moves to: its projections are made once."""
        if self._tried is None or not torch.equal(self._tried[0], tau):
            step = along(self.directions, tau)
            self._tried = (tau.clone(), _FeasibilityPoint(self._energy, self._point.u + step, last_step=step))
        return self._tried[1]


def _norm(u: Tensor) -> Tensor:
    """``|u_i|`` for each sample: ``[batch]``, float64."""
    return inner(u, u).sqrt()
