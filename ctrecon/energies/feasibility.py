"""``E(u) = 1 / (2 N) sum_i dist(u, C_i)^2``: how far an image is from lying in all of N convex sets at once.

"Controlling Neural Networks via Energy Dissipation", equation (25). The gradient is ``1 / N sum_i (u - P_i u)``, so
gradient descent with step 1 is the method of averaged projections; a network may go elsewhere, and still arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from ctrecon.energies.base import Energy, Point, inner, scaled
from ctrecon.energies.convex_sets import ConvexSet
from ctrecon.energies.stepping import SteppingPoint, norm
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


class _FeasibilityPoint(SteppingPoint):
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

    def bends(self, *directions: Tensor) -> list[Tensor]:
        """Those of the faces around the point, by differences of gradients: a set need not be differentiable by torch.

        Exact until a projection changes its face, at the price of one projection per direction. The identity would be a
        bound (E is 1-smooth), but the model it gives is lowest at the negative gradient: a step in the span of several
        directions would never take the one that knows more.
        """
        # Rounding falls with the step, faces left behind grow with it.
        step = (torch.finfo(self.u.dtype).eps ** (1 / 3) * (norm(self.u) + norm(self.gradient))).clamp_min(1e-30)
        near = (self.moved(scaled(step, one).to(self.u)) for one in directions)
        return [scaled(1 / step, point.gradient - self.gradient) for point in near]

    def moved(self, step: Tensor) -> _FeasibilityPoint:
        return _FeasibilityPoint(self._energy, self.u + step, last_step=step)
