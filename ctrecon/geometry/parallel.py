"""Parallel beams, as synchrotrons and textbooks have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.geometry.base import Orbit, turned_axes
from ctrecon.geometry.detector_row import DetectorRow
from ctrecon.geometry.registry import register
from ctrecon.geometry.vectors import Vectors, planar_vectors
from ctrecon.support.arguments import checked_with
from ctrecon.support.arrays import Float64Array


@register
@dataclass(frozen=True, kw_only=True)
class ParallelBeam(DetectorRow):
    """Parallel rays along ``(sin theta, -cos theta)`` through ``s (cos theta, sin theta)``. Lengths in mm."""

    kind: ClassVar[str] = "parallel"
    title: ClassVar[str] = "parallel beam"

    def to_vectors(self) -> Vectors:
        """The geometry as free vectors.

        Returns:
            The direction of the rays, of length one, and the middle of the detector, in mm, and its axis in each view.
        """
        across, along = turned_axes(self.angles_rad)
        return planar_vectors(
            -along, self.detector_offset_mm * across, across, columns=self.detector_count,
            column_mm=self.detector_spacing_mm, parallel=True,
        )

    @property
    def orbit(self) -> Orbit:
        return Orbit(angles_rad=self.angles_rad, detector_offset_mm=self.detector_offset_mm)

    @checked_with(GeometryError)
    def closed_rays(self, views: slice) -> tuple[Float64Array, Float64Array]:
        """``rays`` by formula, one through the middle of each cell.

        Args:
            views: Which of the views.

        Returns:
            A point on each ray, on the detector's line through the axis, in mm, and the ray's direction, of length one:
            both ``[views, detectors, 2]`` as (x, y).
        """
        cos, sin = self.axes(views)
        s = self.detector_mm[None, :]
        points = np.stack([s * cos, s * sin], axis=-1)
        directions = np.broadcast_to(np.stack([sin, -cos], axis=-1), points.shape)
        return points, directions
