"""A fan beam on a flat detector, as laboratory scanners have it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.geometry.base import Orbit, turned_axes
from ctrecon.geometry.checks import positive
from ctrecon.geometry.detector_row import DetectorRow
from ctrecon.geometry.registry import register
from ctrecon.geometry.vectors import Vectors, planar_vectors
from ctrecon.support.arguments import checked_with
from ctrecon.support.arrays import Float64Array


def check_distances(source_to_axis_mm: float, source_to_detector_mm: float) -> None:
    """Raises GeometryError where the detector stands before the axis."""
    # Equal is a detector scaled to the axis, which some programs write; less is two numbers exchanged.
    if source_to_detector_mm < source_to_axis_mm:
        raise GeometryError(
            f"source_to_detector_mm must be at least source_to_axis_mm = {source_to_axis_mm}, "
            f"got {source_to_detector_mm}; are they exchanged?"
        )


@register
@dataclass(frozen=True, kw_only=True)
class FanBeam(DetectorRow):
    """A point source at ``source_to_axis_mm (sin theta, -cos theta)`` and a flat detector opposite. Lengths in mm.

    The detector stands ``source_to_detector_mm`` from the source, at right angles to the central ray.
    """

    kind: ClassVar[str] = "fan"
    title: ClassVar[str] = "fan beam, flat detector"

    source_to_axis_mm: float
    source_to_detector_mm: float

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "source_to_axis_mm", positive("source_to_axis_mm", self.source_to_axis_mm))
        object.__setattr__(
            self, "source_to_detector_mm", positive("source_to_detector_mm", self.source_to_detector_mm)
        )
        check_distances(self.source_to_axis_mm, self.source_to_detector_mm)

    @property
    def magnification(self) -> float:
        return self.source_to_detector_mm / self.source_to_axis_mm

    def to_vectors(self) -> Vectors:
        """The geometry as free vectors.

        Returns:
            Source, middle of the detector and its axis in each view, in mm.
        """
        across, along = turned_axes(self.angles_rad)
        behind = self.source_to_detector_mm - self.source_to_axis_mm
        return planar_vectors(
            -self.source_to_axis_mm * along, behind * along + self.detector_offset_mm * across, across,
            columns=self.detector_count, column_mm=self.detector_spacing_mm, parallel=False,
        )

    @property
    def orbit(self) -> Orbit:
        return Orbit(
            angles_rad=self.angles_rad, detector_offset_mm=self.detector_offset_mm,
            source_to_axis_mm=self.source_to_axis_mm, source_to_detector_mm=self.source_to_detector_mm,
        )

    @checked_with(GeometryError)
    def closed_rays(self, views: slice) -> tuple[Float64Array, Float64Array]:
        """``rays`` by formula, one through the middle of each cell.

        Args:
            views: Which of the views.

        Returns:
            A point on each ray, the source, and the ray's direction, of any length: both ``[views, detectors, 2]`` as
            (x, y), in mm.
        """
        cos, sin = self.axes(views)
        s = self.detector_mm[None, :]
        directions = np.stack(
            [s * cos - self.source_to_detector_mm * sin, s * sin + self.source_to_detector_mm * cos], axis=-1
        )
        source = np.stack([self.source_to_axis_mm * sin, -self.source_to_axis_mm * cos], axis=-1)
        return np.broadcast_to(source, directions.shape), directions
