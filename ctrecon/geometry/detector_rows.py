"""What scanners in space share whose detector turns about the axis: angles, and rows of equal cells."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Self

from ctrecon.geometry.base import Geometry
from ctrecon.geometry.checks import MAX_DETECTOR_CELLS, angles, axis_column, count, finite, positive


@dataclass(frozen=True, kw_only=True)
class DetectorRows(Geometry):
    """Views and rows of equal detector cells, row 0 the lowest. Lengths in mm.

    Args:
        angles_rad: of each view.
        detector_count: columns of cells.
        detector_rows: rows of cells.
        detector_spacing_mm: from column to column.
        detector_row_spacing_mm: from row to row.
        detector_offset_mm: from where the axis projects to the detector's middle, along the rows.
        detector_row_offset_mm: the same along the columns, upwards.

    Raises:
        GeometryError: for what cannot be.
    """

    angles_rad: tuple[float, ...]
    detector_count: int
    detector_rows: int
    detector_spacing_mm: float = 1.0
    detector_row_spacing_mm: float = 1.0
    detector_offset_mm: float = 0.0
    detector_row_offset_mm: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "angles_rad", angles(self.angles_rad))
        for name in ("detector_count", "detector_rows"):
            object.__setattr__(self, name, count(name, getattr(self, name), MAX_DETECTOR_CELLS))
        for name in ("detector_spacing_mm", "detector_row_spacing_mm"):
            object.__setattr__(self, name, positive(name, getattr(self, name)))
        for name in ("detector_offset_mm", "detector_row_offset_mm"):
            object.__setattr__(self, name, finite(name, getattr(self, name)))

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.angles_rad), self.detector_rows, self.detector_count

    def with_center(self, column: float) -> Self:
        """The same scanner with the rotation axis projecting to another column.

        Args:
            column: 0-based, whole at a cell's centre, from 0 to ``detector_count - 1``.

        Returns:
            A copy that differs in ``detector_offset_mm``.

        Raises:
            GeometryError: For a column that the detector does not have.
        """
        column = axis_column(column, self.detector_count)
        offset = ((self.detector_count - 1) / 2 - column) * self.detector_spacing_mm
        return dataclasses.replace(self, detector_offset_mm=offset)
