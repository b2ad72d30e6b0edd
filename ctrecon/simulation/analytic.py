"""Objects whose line integrals are known exactly."""

from __future__ import annotations

from typing import Any, Protocol

from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid


class AnalyticPhantom(Protocol):
    """A phantom in the unit disc, or a body in the unit ball, that knows its own sinogram."""

    def image(self, grid: Grid, oversample: int = ...) -> Any: ...
    def sinogram(self, geometry: Geometry, oversample: int = ...) -> Any: ...
    def scaled(self, length_mm: float, mu_per_mm: float, /) -> AnalyticPhantom: ...
