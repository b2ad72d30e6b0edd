"""Where source, detector and image stand: frozen geometries in mm and radians, after ASTRA's conventions.

Image axes: x grows with the column index, y falls with the row index, the rotation axis is the middle of the
image. At angle ``theta`` the detector axis points along ``(cos theta, sin theta)`` and rays travel along
``(-sin theta, cos theta)`` (fan) or its opposite (parallel, where the sense does not matter): at angle 0 the fan's
source stands below the image, at ``(0, -source_to_axis_mm)``, and moves counter-clockwise.
Detector cell ``i`` of ``n`` has its centre at ``s_i = (i - (n - 1) / 2) * spacing + offset`` on the detector axis.
``docs/units.md`` draws all this; ``geometry_json.py`` reads and writes it as JSON; the curved detector of medical
scanners stands in ``arc_fan.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from ctrecon.errors import GeometryError

Float64Array: TypeAlias = npt.NDArray[np.float64]

MAX_IMAGE_SIDE = 16384
MAX_DETECTOR_CELLS = 65536
MAX_VIEWS = 1_000_000


def positive(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise GeometryError(f"{name} must be a number, got {value!r}")
    number = _float(name, value)
    if not math.isfinite(number) or number <= 0:
        raise GeometryError(f"{name} must be a finite number > 0, got {value!r}")
    return number


def _finite(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        raise GeometryError(f"{name} must be a number, got {value!r}")
    number = _float(name, value)
    if not math.isfinite(number):
        raise GeometryError(f"{name} must be finite, got {value!r}")
    return number


def _float(name: str, value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        raise GeometryError(f"{name} must be a number below 1e308, got one of {len(str(value))} digits") from None


def _count(name: str, value: int, largest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 1 <= value <= largest:
        raise GeometryError(f"{name} must be a whole number from 1 to {largest}, got {value!r}")
    return int(value)


def check_distances(source_to_axis_mm: float, source_to_detector_mm: float) -> None:
    """Raises GeometryError where the detector stands before the axis."""
    # Equal is a detector scaled to the axis, which some programs write; less is two numbers exchanged.
    if source_to_detector_mm < source_to_axis_mm:
        raise GeometryError(
            f"source_to_detector_mm must be at least source_to_axis_mm = {source_to_axis_mm}, "
            f"got {source_to_detector_mm}; are they exchanged?"
        )


def _angles(values: Sequence[float] | Float64Array) -> tuple[float, ...]:
    angles = np.asarray(values, dtype=np.float64)
    if angles.ndim != 1 or angles.size == 0:
        raise GeometryError(f"angles_rad must be a list with at least one angle, got shape {angles.shape}")
    if angles.size > MAX_VIEWS:
        raise GeometryError(f"angles_rad has {angles.size} views, more than {MAX_VIEWS}")
    bad = np.flatnonzero(~np.isfinite(angles))
    if bad.size:
        raise GeometryError(f"angles_rad holds {bad.size} values that are not finite, the first at view {bad[0]}")
    return tuple(angles.tolist())


@dataclass(frozen=True, kw_only=True)
class ImageGrid:
    """``rows x columns`` square pixels of ``pixel_mm``, centred on the rotation axis."""

    rows: int
    columns: int
    pixel_mm: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", _count("rows", self.rows, MAX_IMAGE_SIDE))
        object.__setattr__(self, "columns", _count("columns", self.columns, MAX_IMAGE_SIDE))
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


class Geometry(Protocol):
    """What an operator needs to know of a scanner: which straight lines it measures.

    A new geometry is one frozen class with these members; every projector works from ``rays`` alone.
    """

    @property
    def angles_rad(self) -> tuple[float, ...]: ...

    @property
    def detector_count(self) -> int: ...

    @property
    def shape(self) -> tuple[int, int]:
        """``(views, detectors)``, the shape of one sinogram."""
        ...

    def rays(self, views: slice = ...) -> tuple[Float64Array, Float64Array]:
        """A point on each ray and its direction, both ``[views, detectors, 2]`` as (x, y) in mm."""
        ...

    def views(self, index: slice) -> Geometry:
        """The same scanner with some of its views."""
        ...

    def to_dict(self) -> dict[str, Any]: ...


@dataclass(frozen=True, kw_only=True)
class DetectorRow:
    """What all geometries share: views and a row of equal detector cells."""

    angles_rad: tuple[float, ...] = field(repr=True)
    detector_count: int
    detector_spacing_mm: float = 1.0
    detector_offset_mm: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "angles_rad", _angles(self.angles_rad))
        object.__setattr__(self, "detector_count", _count("detector_count", self.detector_count, MAX_DETECTOR_CELLS))
        object.__setattr__(self, "detector_spacing_mm", positive("detector_spacing_mm", self.detector_spacing_mm))
        object.__setattr__(self, "detector_offset_mm", _finite("detector_offset_mm", self.detector_offset_mm))

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.angles_rad), self.detector_count

    @property
    def detector_mm(self) -> Float64Array:
        """Centre of each cell on the detector axis, ``[detectors]``, in mm, offset included."""
        cells = np.arange(self.detector_count, dtype=np.float64) - (self.detector_count - 1) / 2
        return cells * self.detector_spacing_mm + self.detector_offset_mm

    def axes(self, views: slice) -> tuple[Float64Array, Float64Array]:
        """Cosine and sine of the views' angles, ``[views, 1]``."""
        angles = np.asarray(self.angles_rad[views])
        return np.cos(angles)[:, None], np.sin(angles)[:, None]

    def row_dict(self) -> dict[str, Any]:
        return {
            # Radians, not degrees, because they come back bit for bit: operator hash and certificates rest on them.
            "angles_rad": list(self.angles_rad),
            "detector_count": self.detector_count,
            "detector_spacing_mm": self.detector_spacing_mm,
            "detector_offset_mm": self.detector_offset_mm,
        }


@dataclass(frozen=True, kw_only=True)
class ParallelBeam(DetectorRow):
    """Parallel rays along ``(sin theta, -cos theta)`` through ``s (cos theta, sin theta)``. Lengths in mm."""

    def rays(self, views: slice = slice(None)) -> tuple[Float64Array, Float64Array]:
        cos, sin = self.axes(views)
        s = self.detector_mm[None, :]
        points = np.stack([s * cos, s * sin], axis=-1)
        directions = np.broadcast_to(np.stack([sin, -cos], axis=-1), points.shape)
        return points, directions

    def views(self, index: slice) -> ParallelBeam:
        return ParallelBeam(
            angles_rad=self.angles_rad[index],
            detector_count=self.detector_count,
            detector_spacing_mm=self.detector_spacing_mm,
            detector_offset_mm=self.detector_offset_mm,
        )

    def to_dict(self) -> dict[str, Any]:
        return {"geometry": "parallel", **self.row_dict()}


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


def field_of_view_mm(geometry: Geometry) -> float:
    """Diameter of the circle around the axis that every view sees whole (the smaller side counts), in mm."""
    points, directions = geometry.rays(slice(0, 1))
    edge = [0, -1]
    point, direction = points[0, edge], directions[0, edge]
    cross = point[:, 0] * direction[:, 1] - point[:, 1] * direction[:, 0]
    return float(2 * np.min(np.abs(cross) / np.hypot(direction[:, 0], direction[:, 1])))


def default_grid(geometry: Geometry, *, size: int | None = None, pixel_mm: float | None = None) -> ImageGrid:
    """A square grid that covers the field of view; ``size`` defaults to the number of detector cells."""
    size = geometry.detector_count if size is None else size
    if pixel_mm is None:
        width = field_of_view_mm(geometry)
        if width <= 0:
            raise GeometryError("the detector does not see the rotation axis from both sides; give --pixel-mm")
        pixel_mm = width / _count("size", size, MAX_IMAGE_SIDE)
    return ImageGrid(rows=size, columns=size, pixel_mm=pixel_mm)
