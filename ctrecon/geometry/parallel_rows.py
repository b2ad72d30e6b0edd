"""Parallel beams on a detector of several rows, as synchrotrons have them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.geometry.base import Geometry, Orbit, turned_axes
from ctrecon.geometry.checks import MAX_DETECTOR_CELLS, angles, count, finite, positive
from ctrecon.geometry.vectors import Vectors


@dataclass(frozen=True, kw_only=True)
class ParallelRows(Geometry):
    """``ParallelBeam`` with rows of cells one above the other; rays are level. Lengths in mm.

    Args:
        angles_rad: of each view; angles and columns are those of ``ParallelBeam``.
        detector_count: columns of cells.
        detector_rows: rows of cells; row 0 is the lowest.
        detector_spacing_mm: from column to column.
        detector_row_spacing_mm: from row to row.
        detector_offset_mm: from where the axis projects to the detector's middle, along the rows.
        detector_row_offset_mm: the z of the detector's middle.

    Raises:
        GeometryError: for what cannot be.
    """

    kind: ClassVar[str] = "parallel-rows"
    title: ClassVar[str] = "parallel beam, several rows"

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

    @property
    def orbit(self) -> Orbit:
        return Orbit(angles_rad=self.angles_rad, detector_offset_mm=self.detector_offset_mm)

    def with_center(self, column: float) -> Self:
        """The same scanner with the rotation axis projecting to another column.

        Args:
            column: 0-based, whole at a cell's centre, from 0 to ``detector_count - 1``.

        Returns:
            A copy that differs in ``detector_offset_mm``.

        Raises:
            GeometryError: For a column that the detector does not have.
        """
        if not 0 <= column <= self.detector_count - 1:
            raise GeometryError(
                f"the rotation axis must project to columns 0 to {self.detector_count - 1}, got {column}"
            )
        offset = ((self.detector_count - 1) / 2 - column) * self.detector_spacing_mm
        return dataclasses.replace(self, detector_offset_mm=offset)

    def to_vectors(self) -> Vectors:
        """Where the detector stands and where the rays go, view by view.

        Returns:
            Direction of the rays, detector's middle and axes, ``[views, 3]``; places in mm, axes of length one.
        """
        across, along = (np.pad(part, ((0, 0), (0, 1))) for part in turned_axes(self.angles_rad))
        up = np.broadcast_to([0.0, 0.0, 1.0], across.shape)
        return Vectors(
            parallel=True, source=-along, detector=self.detector_offset_mm * across + self.detector_row_offset_mm * up,
            u=across, v=up, rows=self.detector_rows, columns=self.detector_count, row_mm=self.detector_row_spacing_mm,
            column_mm=self.detector_spacing_mm,
        )
