"""Where to go: anything that maps a point to a direction. Networks are directions like any other."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from ctrecon.energies.base import Point


class Direction(Protocol):
    """Proposes a direction of the shape of ``point.u``; the dissipation set makes it one of descent."""

    def __call__(self, point: Point) -> Tensor: ...


class NegativeGradient:
    """Steepest descent, the classical direction."""

    def __call__(self, point: Point) -> Tensor:
        return -point.gradient
