"""The fan beam of a medical scanner: a detector curved about the source, and a focal spot that may fly.

With ``s`` the place of a cell along the arc (``detector_mm``, offset included) and ``g = s / D``, at angle ``t``:
    nominal source   S0 = R (sin t, -cos t)                   the centre of the detector's arc
    cell             S0 + D (sin(g - t), cos(g - t))          equal angles between neighbours, as seen from S0
    true source      S  = (R + dR) (sin(t + dt), -cos(t + dt))
and a ray goes from ``S`` to the cell. ``dt`` and ``dR`` say, view by view, where a flying focal spot was; without it
they are 0. Angles, axes and order of cells are those of ``FanBeam``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.geometry.base import Orbit
from ctrecon.geometry.checks import positive
from ctrecon.geometry.detector_row import DetectorRow
from ctrecon.geometry.fan import check_distances
from ctrecon.geometry.focal_spot import check_flight, one_for_each_view
from ctrecon.geometry.registry import register
from ctrecon.geometry.vectors import Vectors, planar_vectors
from ctrecon.support.arguments import checked_with
from ctrecon.support.arrays import Float64Array

_WIDEST_RAD = math.pi / 2


@register
@dataclass(frozen=True, kw_only=True)
class ArcFanBeam(DetectorRow):
    """``detector_spacing_mm`` and ``detector_offset_mm`` are lengths along an arc about the nominal source.

    ``source_angle_shift_rad`` and ``source_radius_shift_mm`` have one number per view; empty means none of it.
    Raises GeometryError for lengths that cannot be, a fan of half a turn, and shifts that put the source elsewhere.
    """

    kind: ClassVar[str] = "arc-fan"
    title: ClassVar[str] = "fan beam, detector on an arc about the source"

    source_to_axis_mm: float
    source_to_detector_mm: float
    source_angle_shift_rad: tuple[float, ...] = ()
    source_radius_shift_mm: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("source_to_axis_mm", "source_to_detector_mm"):
            object.__setattr__(self, name, positive(name, getattr(self, name)))
        check_distances(self.source_to_axis_mm, self.source_to_detector_mm)
        edge = float(np.abs(self.detector_mm[[0, -1]]).max()) / self.source_to_detector_mm
        if edge >= _WIDEST_RAD:
            raise GeometryError(
                f"the detector reaches {math.degrees(edge):.4g} degrees from the central ray, a fan less than 90; "
                "is detector_spacing_mm in another unit?"
            )
        views = len(self.angles_rad)
        for name in ("source_angle_shift_rad", "source_radius_shift_mm"):
            object.__setattr__(self, name, one_for_each_view(name, getattr(self, name), views))
        check_flight(self.source_angle_shift_rad, self.source_radius_shift_mm, self.source_to_axis_mm)

    def to_vectors(self) -> Vectors:
        """The geometry as free vectors: an arc about the nominal source, rays from the true one.

        Returns:
            Source, middle of the detector and its axis in each view, in mm.
        """
        nominal, true = self.sources()
        turned = np.asarray(self.angles_rad) - self.detector_offset_mm / self.source_to_detector_mm
        cos, sin = np.cos(turned), np.sin(turned)
        middle = nominal + self.source_to_detector_mm * np.stack([-sin, cos], axis=1)
        return planar_vectors(
            true, middle, np.stack([cos, sin], axis=1), columns=self.detector_count,
            column_mm=self.detector_spacing_mm, parallel=False, radius_mm=self.source_to_detector_mm,
        )

    @property
    def orbit(self) -> Orbit:
        return Orbit(
            angles_rad=self.angles_rad, detector_offset_mm=self.detector_offset_mm,
            source_to_axis_mm=self.source_to_axis_mm, source_to_detector_mm=self.source_to_detector_mm,
            curved=True, steady=not self.flies,
        )

    @property
    def flies(self) -> bool:
        """Whether the focal spot left its nominal place in any view."""
        return any(self.source_angle_shift_rad) or any(self.source_radius_shift_mm)

    @checked_with(GeometryError)
    def sources(self, views: slice = slice(None)) -> tuple[Float64Array, Float64Array]:
        """Where the source stands, without and with the shifts of a flying focal spot.

        Args:
            views: Which of the views.

        Returns:
            The nominal and the true source of each view, both ``[views, 2]`` as (x, y), in mm.
        """
        t = np.asarray(self.angles_rad[views])
        true = t + np.asarray(self.source_angle_shift_rad[views])
        radius = self.source_to_axis_mm + np.asarray(self.source_radius_shift_mm[views])
        nominal = self.source_to_axis_mm * np.stack([np.sin(t), -np.cos(t)], axis=-1)
        return nominal, radius[:, None] * np.stack([np.sin(true), -np.cos(true)], axis=-1)

    @checked_with(GeometryError)
    def closed_rays(self, views: slice) -> tuple[Float64Array, Float64Array]:
        """``rays`` by formula, one through the middle of each cell.

        Args:
            views: Which of the views.

        Returns:
            A point on each ray, the source with its flying focal spot, and the ray's direction, of any length: both
            ``[views, detectors, 2]`` as (x, y), in mm.
        """
        cos, sin = self.axes(views)
        g = (self.detector_mm / self.source_to_detector_mm)[None, :]
        nominal, true = self.sources(views)
        across, along = np.sin(g), np.cos(g)
        central = np.stack([across * cos - along * sin, across * sin + along * cos], axis=-1)
        directions = self.source_to_detector_mm * central + (nominal - true)[:, None, :]
        return np.broadcast_to(true[:, None, :], directions.shape), directions
