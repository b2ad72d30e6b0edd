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
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.geometry.base import DetectorRow, positive
from ctrecon.geometry.fan import FanBeam, check_distances
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.support.arrays import Float64Array

_WIDEST_RAD = math.pi / 2


@dataclass(frozen=True, kw_only=True)
class ArcFanBeam(DetectorRow):
    """``detector_spacing_mm`` and ``detector_offset_mm`` are lengths along an arc about the nominal source.

    ``source_angle_shift_rad`` and ``source_radius_shift_mm`` have one number per view; empty means none of it.
    Raises GeometryError for lengths that cannot be, a fan of half a turn, and shifts that put the source elsewhere.
    """

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
        for name in ("source_angle_shift_rad", "source_radius_shift_mm"):
            object.__setattr__(self, name, self._shifts(name, getattr(self, name)))
        if np.abs(self.source_angle_shift_rad).max() > 0.1:
            raise GeometryError(
                f"source_angle_shift_rad reaches {np.abs(self.source_angle_shift_rad).max():.4g}, a focal spot moves "
                "by less than 0.1 rad; is it in degrees?"
            )
        if np.abs(self.source_radius_shift_mm).max() > 0.2 * self.source_to_axis_mm:
            raise GeometryError(
                f"source_radius_shift_mm reaches {np.abs(self.source_radius_shift_mm).max():.4g}, more than a fifth of "
                f"source_to_axis_mm = {self.source_to_axis_mm}; is it the radius itself?"
            )

    def _shifts(self, name: str, values: Sequence[float] | Float64Array) -> tuple[float, ...]:
        try:
            shifts = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            raise GeometryError(f"{name} must be a list of numbers, one per view") from None
        views = len(self.angles_rad)
        if shifts.shape == (0,):
            return (0.0,) * views
        if shifts.shape != (views,):
            raise GeometryError(f"{name} must have one number for each of the {views} views, got shape {shifts.shape}")
        bad = np.flatnonzero(~np.isfinite(shifts))
        if bad.size:
            raise GeometryError(f"{name} holds {bad.size} values that are not finite, the first at view {bad[0]}")
        return tuple(shifts.tolist())

    def fan_angle_rad(self, s_mm: Float64Array) -> Float64Array:
        """The angle between the central ray and the ray to ``s_mm`` on the arc, at the nominal source."""
        return s_mm / self.source_to_detector_mm

    @property
    def flies(self) -> bool:
        """Whether the focal spot left its nominal place in any view."""
        return any(self.source_angle_shift_rad) or any(self.source_radius_shift_mm)

    def sources(self, views: slice = slice(None)) -> tuple[Float64Array, Float64Array]:
        """The nominal and the true source of each view, both ``[views, 2]`` in mm."""
        t = np.asarray(self.angles_rad[views])
        true = t + np.asarray(self.source_angle_shift_rad[views])
        radius = self.source_to_axis_mm + np.asarray(self.source_radius_shift_mm[views])
        nominal = self.source_to_axis_mm * np.stack([np.sin(t), -np.cos(t)], axis=-1)
        return nominal, radius[:, None] * np.stack([np.sin(true), -np.cos(true)], axis=-1)

    def rays(self, views: slice = slice(None)) -> tuple[Float64Array, Float64Array]:
        cos, sin = self.axes(views)
        g = self.fan_angle_rad(self.detector_mm)[None, :]
        nominal, true = self.sources(views)
        across, along = np.sin(g), np.cos(g)
        central = np.stack([across * cos - along * sin, across * sin + along * cos], axis=-1)
        directions = self.source_to_detector_mm * central + (nominal - true)[:, None, :]
        return np.broadcast_to(true[:, None, :], directions.shape), directions

    @property
    def closest_source_mm(self) -> float:
        """The least distance of the true source from the axis."""
        return self.source_to_axis_mm + min(self.source_radius_shift_mm)

    @property
    def widest_fan_rad(self) -> float:
        """No ray, to the outermost edge of a cell, stands wider from the line to the axis."""
        edge = float(np.abs(self.detector_mm[[0, -1]]).max()) + self.detector_spacing_mm
        # A source that moves by a length sees the cells, and the axis, turned by at most the angle of that length.
        nominal, true = self.sources()
        away = float(np.abs(true - nominal).max()) * math.sqrt(2)
        moved = away / self.source_to_detector_mm + away / self.closest_source_mm
        return edge / self.source_to_detector_mm + moved

    def views(self, index: slice) -> ArcFanBeam:
        return ArcFanBeam(
            angles_rad=self.angles_rad[index],
            detector_count=self.detector_count,
            detector_spacing_mm=self.detector_spacing_mm,
            detector_offset_mm=self.detector_offset_mm,
            source_to_axis_mm=self.source_to_axis_mm,
            source_to_detector_mm=self.source_to_detector_mm,
            source_angle_shift_rad=self.source_angle_shift_rad[index],
            source_radius_shift_mm=self.source_radius_shift_mm[index],
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "geometry": "arc-fan",
            **self.row_dict(),
            "source_to_axis_mm": self.source_to_axis_mm,
            "source_to_detector_mm": self.source_to_detector_mm,
            "source_angle_shift_rad": list(self.source_angle_shift_rad),
            "source_radius_shift_mm": list(self.source_radius_shift_mm),
        }


Beam: TypeAlias = ParallelBeam | FanBeam | ArcFanBeam
"""What a scan may be measured with."""
