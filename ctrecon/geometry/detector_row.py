"""What parallel beams and fans share: angles, and a row of equal cells that turns about the axis."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.checks import MAX_DETECTOR_CELLS, MAX_RAYS_PER_CELL, angles, axis_column, count, finite, positive
from ctrecon.support.arguments import checked_with
from ctrecon.support.arrays import Float64Array


@dataclass(frozen=True, kw_only=True)
class DetectorRow(Geometry):
    """Views and a row of equal detector cells.

    Cell ``i`` of ``n`` has its centre at ``s_i = (i - (n - 1) / 2) * spacing + offset`` on the detector axis.
    """

    angles_rad: tuple[float, ...]
    detector_count: int
    detector_spacing_mm: float = 1.0
    detector_offset_mm: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "angles_rad", angles(self.angles_rad))
        object.__setattr__(self, "detector_count", count("detector_count", self.detector_count, MAX_DETECTOR_CELLS))
        object.__setattr__(self, "detector_spacing_mm", positive("detector_spacing_mm", self.detector_spacing_mm))
        object.__setattr__(self, "detector_offset_mm", finite("detector_offset_mm", self.detector_offset_mm))

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.angles_rad), self.detector_count

    @property
    def detector_mm(self) -> Float64Array:
        """Centre of each cell on the detector axis, ``[detectors]``, in mm, offset included."""
        cells = np.arange(self.detector_count, dtype=np.float64) - (self.detector_count - 1) / 2
        return cells * self.detector_spacing_mm + self.detector_offset_mm

    @checked_with(GeometryError)
    def rays(self, views: slice = slice(None), *, per_cell: int = 1) -> tuple[Float64Array, Float64Array]:
        if count("per_cell", per_cell, MAX_RAYS_PER_CELL) == 1:
            return self.closed_rays(views)
        finer: dict[str, Any] = {
            "detector_count": self.detector_count * per_cell,
            "detector_spacing_mm": self.detector_spacing_mm / per_cell,
        }
        return dataclasses.replace(self, **finer).closed_rays(views)

    @checked_with(GeometryError)
    def closed_rays(self, views: slice) -> tuple[Float64Array, Float64Array]:
        """The rays through the middles of the cells, by formula.

        They agree with those of the vectors to rounding; by formula their last bits, and with them stored matrices and
        certified images, stay what they were.

        Args:
            views: Which views.

        Returns:
            A point on each ray and its direction, both ``[views, detectors, 2]`` as (x, y) in mm.
        """
        return super().rays(views)

    def with_center(self, column: float) -> Self:
        column = axis_column(column, self.detector_count)
        offset = ((self.detector_count - 1) / 2 - column) * self.detector_spacing_mm
        return dataclasses.replace(self, detector_offset_mm=offset)

    @checked_with(GeometryError)
    def axes(self, views: slice) -> tuple[Float64Array, Float64Array]:
        """The directions of the detector's axis.

        Args:
            views: Which views.

        Returns:
            Cosine and sine of the views' angles, each ``[views, 1]``.
        """
        turned = np.asarray(self.angles_rad[views])
        return np.cos(turned)[:, None], np.sin(turned)[:, None]
