"""Where source, detector and image stand: frozen geometries in mm and radians, after ASTRA's conventions.

Image axes: x grows with the column index, y falls with the row index, the rotation axis is the middle of the
image. At angle ``theta`` the detector axis points along ``(cos theta, sin theta)`` and rays travel along
``(-sin theta, cos theta)`` (fan) or its opposite (parallel, where the sense does not matter): at angle 0 the fan's
source stands below the image, at ``(0, -source_to_axis_mm)``, and moves counter-clockwise.
Detector cell ``i`` of ``n`` has its centre at ``s_i = (i - (n - 1) / 2) * spacing + offset`` on the detector axis.
``docs/units.md`` draws all this; ``as_json.py`` reads and writes it as JSON.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.support.arrays import Float64Array

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


def finite(name: str, value: float) -> float:
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


def count(name: str, value: int, largest: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or not 1 <= value <= largest:
        raise GeometryError(f"{name} must be a whole number from 1 to {largest}, got {value!r}")
    return int(value)


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
        object.__setattr__(self, "detector_count", count("detector_count", self.detector_count, MAX_DETECTOR_CELLS))
        object.__setattr__(self, "detector_spacing_mm", positive("detector_spacing_mm", self.detector_spacing_mm))
        object.__setattr__(self, "detector_offset_mm", finite("detector_offset_mm", self.detector_offset_mm))

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
