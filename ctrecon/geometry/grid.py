"""The image grid: where the pixels stand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.geometry.base import MAX_IMAGE_SIDE, Geometry, count, positive
from ctrecon.support.arrays import Float64Array


@dataclass(frozen=True, kw_only=True)
class Grid:
    """``rows x columns`` square pixels of ``pixel_mm``, centred on the rotation axis."""

    rows: int
    columns: int
    pixel_mm: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", count("rows", self.rows, MAX_IMAGE_SIDE))
        object.__setattr__(self, "columns", count("columns", self.columns, MAX_IMAGE_SIDE))
        object.__setattr__(self, "pixel_mm", positive("pixel_mm", self.pixel_mm))

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.columns

    @property
    def x_mm(self) -> Float64Array:
        """Centre of each column, ``[columns]``, in mm; grows to the right."""
        return (np.arange(self.columns, dtype=np.float64) - (self.columns - 1) / 2) * self.pixel_mm

    @property
    def y_mm(self) -> Float64Array:
        """Centre of each row, ``[rows]``, in mm; falls with the row index."""
        return ((self.rows - 1) / 2 - np.arange(self.rows, dtype=np.float64)) * self.pixel_mm

    def to_dict(self) -> dict[str, Any]:
        return {"rows": self.rows, "columns": self.columns, "pixel_mm": self.pixel_mm}


def field_of_view_mm(geometry: Geometry) -> float:
    """Diameter of the circle around the axis that every view sees whole (the smaller side counts), in mm."""
    points, directions = geometry.rays(slice(0, 1))
    edge = [0, -1]
    point, direction = points[0, edge], directions[0, edge]
    cross = point[:, 0] * direction[:, 1] - point[:, 1] * direction[:, 0]
    return float(2 * np.min(np.abs(cross) / np.hypot(direction[:, 0], direction[:, 1])))


def default_grid(geometry: Geometry, *, size: int | None = None, pixel_mm: float | None = None) -> Grid:
    """A square grid that covers the field of view; ``size`` defaults to the number of detector cells."""
    size = geometry.detector_count if size is None else size
    if pixel_mm is None:
        width = field_of_view_mm(geometry)
        if width <= 0:
            raise GeometryError("the detector does not see the rotation axis from both sides; give --pixel-mm")
        pixel_mm = width / count("size", size, MAX_IMAGE_SIDE)
    return Grid(rows=size, columns=size, pixel_mm=pixel_mm)
