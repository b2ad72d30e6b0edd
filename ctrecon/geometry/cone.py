"""Cone beams on flat detectors: in a circle about the axis, and along a helix.

Prepared: arrays, JSON and checks are here, projectors come with volumes. What needs one says so before any work.
The axis of rotation is z; the detector's rows are level and its columns parallel to the axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ctrecon.geometry.base import Geometry, turned_axes
from ctrecon.geometry.checks import MAX_DETECTOR_CELLS, angles, count, finite, positive
from ctrecon.geometry.fan import check_distances
from ctrecon.geometry.vectors import Vectors
from ctrecon.support.arrays import Float64Array


@dataclass(frozen=True, kw_only=True)
class ConeBeam(Geometry):
    """A point source on a circle about the axis and a flat detector opposite. Lengths in mm.

    Args:
        angles_rad: of each view; angles, axes and columns are those of ``FanBeam``.
        detector_count: columns of cells.
        detector_rows: rows of cells; row 0 is the lowest.
        detector_spacing_mm: from column to column.
        detector_row_spacing_mm: from row to row.
        detector_offset_mm: from the central ray to the detector's middle, along the rows.
        detector_row_offset_mm: the same along the columns, upwards.
        source_to_axis_mm: the circle's radius.
        source_to_detector_mm: along the central ray.

    Raises:
        GeometryError: for what cannot be.
    """

    kind: ClassVar[str] = "cone"
    title: ClassVar[str] = "cone beam, flat detector"

    angles_rad: tuple[float, ...]
    detector_count: int
    detector_rows: int
    detector_spacing_mm: float = 1.0
    detector_row_spacing_mm: float = 1.0
    detector_offset_mm: float = 0.0
    detector_row_offset_mm: float = 0.0
    source_to_axis_mm: float
    source_to_detector_mm: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "angles_rad", angles(self.angles_rad))
        for name in ("detector_count", "detector_rows"):
            object.__setattr__(self, name, count(name, getattr(self, name), MAX_DETECTOR_CELLS))
        for name in (
            "detector_spacing_mm", "detector_row_spacing_mm", "source_to_axis_mm", "source_to_detector_mm",
        ):
            object.__setattr__(self, name, positive(name, getattr(self, name)))
        for name in ("detector_offset_mm", "detector_row_offset_mm"):
            object.__setattr__(self, name, finite(name, getattr(self, name)))
        check_distances(self.source_to_axis_mm, self.source_to_detector_mm)

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.angles_rad), self.detector_rows, self.detector_count

    def heights_mm(self) -> Float64Array:
        """The z of the source, ``[views]``."""
        return np.zeros(len(self.angles_rad))

    def to_vectors(self) -> Vectors:
        across, along = turned_axes(self.angles_rad)
        z, up = self.heights_mm()[:, None], np.broadcast_to([0.0, 0.0, 1.0], (len(self.angles_rad), 3))
        behind = self.source_to_detector_mm - self.source_to_axis_mm
        middle = behind * along + self.detector_offset_mm * across
        return Vectors(
            parallel=False, source=np.hstack([-self.source_to_axis_mm * along, z]),
            detector=np.hstack([middle, z + self.detector_row_offset_mm]), u=np.pad(across, ((0, 0), (0, 1))), v=up,
            rows=self.detector_rows, columns=self.detector_count, row_mm=self.detector_row_spacing_mm,
            column_mm=self.detector_spacing_mm,
        )


@dataclass(frozen=True, kw_only=True)
class HelicalCone(ConeBeam):
    """A cone beam that climbs with its angle: ``z = start_mm + pitch_mm (theta - theta_0) / (2 pi)``.

    Args:
        pitch_mm: how far source and detector climb in a turn; below 0 they descend.
        start_mm: the z of view 0.
        first_angle_rad: the angle at which the helix is at ``start_mm``; None takes that of view 0, and writes it
            down so that ``views`` keeps it.
    """

    kind: ClassVar[str] = "helical-cone"
    title: ClassVar[str] = "helical cone beam, flat detector"

    pitch_mm: float
    start_mm: float = 0.0
    first_angle_rad: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        first = self.angles_rad[0] if self.first_angle_rad is None else self.first_angle_rad
        for name, value in (("pitch_mm", self.pitch_mm), ("start_mm", self.start_mm), ("first_angle_rad", first)):
            object.__setattr__(self, name, finite(name, value))

    def heights_mm(self) -> Float64Array:
        assert self.first_angle_rad is not None
        turned = np.asarray(self.angles_rad) - self.first_angle_rad
        climbed: Float64Array = self.start_mm + self.pitch_mm * turned / (2 * math.pi)
        return climbed
