"""Objects whose line integrals are known exactly."""

from __future__ import annotations

from typing import Any, Protocol

from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid


class AnalyticPhantom(Protocol):
    """A phantom in the unit disc, or a body in the unit ball, that knows its own sinogram."""

    def image(self, grid: Grid, oversample: int = ...) -> Any:
        """The phantom on a grid.

        Args:
            grid: Of the image, in space with slices.
            oversample: A value is the mean over so many points along each side of a pixel.

        Returns:
            Attenuation ``[rows, columns]``, in space ``[slices, rows, columns]``, float32.
        """
        ...

    def sinogram(self, geometry: Geometry, oversample: int = ...) -> Any:
        """The phantom's exact line integrals.

        Args:
            geometry: Of the scan.
            oversample: A value is the mean over so many rays spread along a cell, in space over so many squared.

        Returns:
            In the shape of the geometry, float32.
        """
        ...

    def scaled(self, length_mm: float, mu_per_mm: float, /) -> AnalyticPhantom:
        """From the unit disc or ball to a real object.

        Args:
            length_mm: What 1 becomes in lengths, in mm.
            mu_per_mm: What 1 becomes in attenuation, in 1/mm.

        Returns:
            The larger phantom.
        """
        ...
