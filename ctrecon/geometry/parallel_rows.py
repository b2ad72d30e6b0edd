"""Parallel beams on a detector of several rows, as synchrotrons have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ctrecon.geometry.base import Orbit, turned_axes
from ctrecon.geometry.detector_rows import DetectorRows
from ctrecon.geometry.registry import register
from ctrecon.geometry.vectors import Vectors


@register
@dataclass(frozen=True, kw_only=True)
class ParallelRows(DetectorRows):
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

    @property
    def orbit(self) -> Orbit:
        return Orbit(angles_rad=self.angles_rad, detector_offset_mm=self.detector_offset_mm)

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
