"""The cone beam of a medical scanner: several rows on an arc about the source, climbing as they turn.

As DICOM-CT-PD states projections as they were measured: the detector is a piece of a cylinder about the vertical
through the nominal focal spot, cells at equal angles and heights; the true focal spot flies about the nominal one, view
by view. In the plane this is ``ArcFanBeam``, whose angles and places along the arc hold here, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.geometry.base import Orbit
from ctrecon.geometry.checks import positive
from ctrecon.geometry.detector_rows import DetectorRows
from ctrecon.geometry.fan import check_distances
from ctrecon.geometry.focal_spot import check_flight, one_for_each_view
from ctrecon.geometry.registry import register
from ctrecon.geometry.vectors import Vectors
from ctrecon.support.arrays import Float64Array

_WIDEST_RAD = math.pi / 2
_PER_VIEW = ("source_z_mm", "source_angle_shift_rad", "source_radius_shift_mm", "source_z_shift_mm")


@register
@dataclass(frozen=True, kw_only=True)
class ArcCone(DetectorRows):
    """A point source that turns and may climb, and an arc of several rows opposite. Lengths in mm.

    Args:
        angles_rad: of each view.
        detector_count: columns of cells.
        detector_rows: rows of cells; row 0 is the lowest.
        detector_spacing_mm: from column to column, along the arc.
        detector_row_spacing_mm: from row to row.
        detector_offset_mm: from the central ray to the detector's middle, along the arc.
        detector_row_offset_mm: the same along z.
        source_to_axis_mm: the nominal source's radius.
        source_to_detector_mm: the arc's radius.
        source_z_mm: the nominal source's height in each view; empty means 0.
        source_angle_shift_rad: where the focal spot flies: of each view the angle from the nominal; empty means none.
        source_radius_shift_mm: the same of its distance from the axis.
        source_z_shift_mm: the same of its height; the detector stays.

    Raises:
        GeometryError: for what cannot be.
    """

    kind: ClassVar[str] = "arc-cone"
    title: ClassVar[str] = "cone beam, detector on an arc about the source"

    source_to_axis_mm: float
    source_to_detector_mm: float
    source_z_mm: tuple[float, ...] = ()
    source_angle_shift_rad: tuple[float, ...] = ()
    source_radius_shift_mm: tuple[float, ...] = ()
    source_z_shift_mm: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("source_to_axis_mm", "source_to_detector_mm"):
            object.__setattr__(self, name, positive(name, getattr(self, name)))
        check_distances(self.source_to_axis_mm, self.source_to_detector_mm)
        half = self.detector_count * self.detector_spacing_mm / 2 + abs(self.detector_offset_mm)
        if half / self.source_to_detector_mm >= _WIDEST_RAD:
            raise GeometryError(
                f"the detector reaches {math.degrees(half / self.source_to_detector_mm):.4g} degrees from the central "
                "ray, a fan less than 90; is detector_spacing_mm in another unit?"
            )
        views = len(self.angles_rad)
        for name in _PER_VIEW:
            object.__setattr__(self, name, one_for_each_view(name, getattr(self, name), views))
        check_flight(self.source_angle_shift_rad, self.source_radius_shift_mm, self.source_to_axis_mm)

    @property
    def steady(self) -> bool:
        """Whether no focal spot flies and the scanner does not climb."""
        return not any(any(getattr(self, name)) for name in _PER_VIEW)

    @property
    def orbit(self) -> Orbit:
        return Orbit(
            angles_rad=self.angles_rad, detector_offset_mm=self.detector_offset_mm,
            source_to_axis_mm=self.source_to_axis_mm, source_to_detector_mm=self.source_to_detector_mm,
            curved=True, steady=self.steady,
        )

    def heights_mm(self) -> Float64Array:
        """The height of the nominal source, without the flight of the focal spot.

        Returns:
            Its z in mm, float64 ``[views]``.
        """
        return np.asarray(self.source_z_mm, dtype=np.float64)

    def to_vectors(self) -> Vectors:
        """Where the focal spot and the arc stand, view by view.

        Returns:
            Focal spot, the arc's middle and its axes there, ``[views, 3]``; places in mm, axes of length one.
        """
        t, z = np.asarray(self.angles_rad), self.heights_mm()
        true = t + np.asarray(self.source_angle_shift_rad)
        radius = self.source_to_axis_mm + np.asarray(self.source_radius_shift_mm)
        nominal = np.stack([self.source_to_axis_mm * np.sin(t), -self.source_to_axis_mm * np.cos(t), z], axis=1)
        spot = np.stack([radius * np.sin(true), -radius * np.cos(true), z + np.asarray(self.source_z_shift_mm)], axis=1)
        # The middle of the arc, and the tangent there, as the offset along the arc has turned them.
        turned = t - self.detector_offset_mm / self.source_to_detector_mm
        cos, sin = np.cos(turned), np.sin(turned)
        up = np.broadcast_to([0.0, 0.0, 1.0], nominal.shape)
        out = np.stack([-sin, cos, np.zeros_like(t)], axis=1)
        return Vectors(
            parallel=False, source=spot,
            detector=nominal + self.source_to_detector_mm * out + self.detector_row_offset_mm * up,
            u=np.stack([cos, sin, np.zeros_like(t)], axis=1), v=up, rows=self.detector_rows,
            columns=self.detector_count, row_mm=self.detector_row_spacing_mm, column_mm=self.detector_spacing_mm,
            radius_mm=self.source_to_detector_mm,
        )
