"""A fan beam on a flat detector, as laboratory scanners have it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.geometry.base import DetectorRow, positive
from ctrecon.support.arrays import Float64Array


def check_distances(source_to_axis_mm: float, source_to_detector_mm: float) -> None:
    """Raises GeometryError where the detector stands before the axis."""
    # Equal is a detector scaled to the axis, which some programs write; less is two numbers exchanged.
    if source_to_detector_mm < source_to_axis_mm:
        raise GeometryError(
            f"source_to_detector_mm must be at least source_to_axis_mm = {source_to_axis_mm}, "
            f"got {source_to_detector_mm}; are they exchanged?"
        )


@dataclass(frozen=True, kw_only=True)
class FanBeam(DetectorRow):
    """A point source at ``source_to_axis_mm (sin theta, -cos theta)`` and a flat detector opposite. Lengths in mm.

    The detector stands ``source_to_detector_mm`` from the source, at right angles to the central ray.
    """

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

    def fan_angle_rad(self, s_mm: Float64Array) -> Float64Array:
        """The angle between the central ray and the ray to ``s_mm`` on the detector."""
        return np.arctan2(s_mm, self.source_to_detector_mm)

    @property
    def closest_source_mm(self) -> float:
        """The least distance of the source from the axis."""
        return self.source_to_axis_mm

    @property
    def widest_fan_rad(self) -> float:
        """No ray, to the outermost edge of a cell, stands wider from the line to the axis."""
        edge = float(np.abs(self.detector_mm[[0, -1]]).max()) + self.detector_spacing_mm
        return math.atan2(edge, self.source_to_detector_mm)

    def rays(self, views: slice = slice(None)) -> tuple[Float64Array, Float64Array]:
        cos, sin = self.axes(views)
        s = self.detector_mm[None, :]
        directions = np.stack(
            [s * cos - self.source_to_detector_mm * sin, s * sin + self.source_to_detector_mm * cos], axis=-1
        )
        source = np.stack([self.source_to_axis_mm * sin, -self.source_to_axis_mm * cos], axis=-1)
        return np.broadcast_to(source, directions.shape), directions

    def views(self, index: slice) -> FanBeam:
        return FanBeam(
            angles_rad=self.angles_rad[index],
            detector_count=self.detector_count,
            detector_spacing_mm=self.detector_spacing_mm,
            detector_offset_mm=self.detector_offset_mm,
            source_to_axis_mm=self.source_to_axis_mm,
            source_to_detector_mm=self.source_to_detector_mm,
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "geometry": "fan",
            **self.row_dict(),
            "source_to_axis_mm": self.source_to_axis_mm,
            "source_to_detector_mm": self.source_to_detector_mm,
        }
