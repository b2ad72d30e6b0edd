"""A scanner given view by view: source, detector and its axis as arrays, for what no formula describes.

The way for real scanners with an axis that wobbles, a detector that slides or a source that does not keep its distance:
start from the plain geometry, ``VectorGeometry.of(FanBeam(...))``, and move what moved (``with_axis_shift``,
``with_detector_shift``, ``with_detector_turn``, ``with_source_distance``).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.geometry.arc_fan import ArcFanBeam
from ctrecon.geometry.base import Geometry, Orbit, turned_axes
from ctrecon.geometry.checks import MAX_DETECTOR_CELLS, PerView, angles, count, each_view, finite, positive
from ctrecon.geometry.detector_row import DetectorRow
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.geometry.registry import register
from ctrecon.geometry.vectors import Vectors, planar_vectors
from ctrecon.support.arguments import checked_with
from ctrecon.support.arrays import Array, Float64Array

_STEADY = 1e-6
"""Of a cell: views that are off one turning scanner by less are views of that scanner."""


@register
@dataclass(frozen=True, kw_only=True)
class VectorGeometry(Geometry):
    """Free vectors in the plane, one entry for each view, as (x, y).

    Args:
        parallel: whether the rays of a view are parallel.
        source: the source's place in mm; where ``parallel`` the direction of the rays, of length one.
        detector_mm: the place of the detector's middle.
        detector_axis: of length one, along the detector from a cell to the next.
        detector_count: cells.
        detector_spacing_mm: from cell to cell, along the arc where there is one.
        detector_radius_mm: of an arc, whose centre is on the source's side; 0 for a flat detector.
        angles_rad: where the scanner turns, nearly, about the origin: the nominal angles. Filtered back projection
            counts each view with them, and takes source and detector from where they are.

    Raises:
        GeometryError: for arrays that do not fit, an axis that is not of length one, a source in its own detector.
    """

    kind: ClassVar[str] = "vectors"
    title: ClassVar[str] = "free vectors, given view by view"

    parallel: bool = False
    source: tuple[tuple[float, float], ...]
    detector_mm: tuple[tuple[float, float], ...]
    detector_axis: tuple[tuple[float, float], ...]
    detector_count: int
    detector_spacing_mm: float = 1.0
    detector_radius_mm: float = 0.0
    angles_rad: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.parallel, bool):
            raise GeometryError(f"parallel must be true or false, got {self.parallel!r}")
        source = each_view("source", self.source, width=2)
        object.__setattr__(self, "source", source)
        for name in ("detector_mm", "detector_axis"):
            object.__setattr__(self, name, each_view(name, getattr(self, name), len(source), width=2))
        object.__setattr__(self, "detector_count", count("detector_count", self.detector_count, MAX_DETECTOR_CELLS))
        object.__setattr__(self, "detector_spacing_mm", positive("detector_spacing_mm", self.detector_spacing_mm))
        radius = finite("detector_radius_mm", self.detector_radius_mm)
        if radius < 0 or (radius and self.detector_count * self.detector_spacing_mm > 2 * np.pi * radius):
            raise GeometryError(
                f"detector_radius_mm must be 0 (flat) or at least the detector's length over 2 pi, got {radius}"
            )
        object.__setattr__(self, "detector_radius_mm", radius)
        if self.angles_rad is not None:
            nominal = angles(self.angles_rad)
            object.__setattr__(self, "angles_rad", each_view("angles_rad", nominal, len(source)))
        self.to_vectors()

    @classmethod
    @checked_with(GeometryError)
    def of(cls, geometry: Geometry) -> VectorGeometry:
        """Any geometry in the plane, view by view; the angles of its orbit stay its nominal angles.

        Args:
            geometry: Of any class.

        Returns:
            The same places and axes, in mm.

        Raises:
            GeometryError: for a geometry in space.
        """
        orbit = geometry.orbit
        return cls.from_vectors(geometry.to_vectors(), angles_rad=None if orbit is None else orbit.angles_rad)

    @classmethod
    @checked_with(GeometryError)
    def from_vectors(cls, vectors: Vectors, *, angles_rad: Sequence[float] | Array | None = None) -> VectorGeometry:
        """Vectors in the plane, as a geometry.

        Args:
            vectors: With z = 0 throughout and one row of cells.
            angles_rad: Nominal angles, one for each view, in rad; None where there is no orbit.

        Returns:
            The geometry.

        Raises:
            GeometryError: for vectors in space, or angles that do not fit.
        """
        if not vectors.planar:
            raise GeometryError("free vectors are in the plane, z = 0 with one row of cells; these are in space")
        return cls(
            parallel=vectors.parallel, source=PerView(map(tuple, vectors.source[:, :2].tolist())),
            detector_mm=PerView(map(tuple, vectors.detector[:, :2].tolist())),
            detector_axis=PerView(map(tuple, vectors.u[:, :2].tolist())), detector_count=vectors.columns,
            detector_spacing_mm=vectors.column_mm, detector_radius_mm=vectors.radius_mm,
            angles_rad=None if angles_rad is None else angles(angles_rad),
        )

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.source), self.detector_count

    def to_vectors(self) -> Vectors:
        """The geometry as the vectors that it is given by.

        Returns:
            Source (or direction of the rays, where they are parallel), middle of the detector, in mm, and its axis in
            each view.
        """
        return planar_vectors(
            np.array(self.source), np.array(self.detector_mm), np.array(self.detector_axis),
            columns=self.detector_count, column_mm=self.detector_spacing_mm, parallel=self.parallel,
            radius_mm=self.detector_radius_mm,
        )

    @property
    def orbit(self) -> Orbit | None:
        """The turning scanner nearest to these views, where ``angles_rad`` says that there is one."""
        if self.angles_rad is None:
            return None
        try:
            return _nearest_orbit(self.to_vectors(), self.angles_rad)
        except GeometryError:  # no such scanner could be built
            return None

    def with_axis_shift(self, shift_mm: Sequence[Sequence[float]] | Array) -> Self:
        """The geometry of a scan whose axis wobbled.

        Seen from the object, source and detector stood the opposite way; parallel rays keep their direction.

        Args:
            shift_mm: How far the object stood away from where it belongs in each view, ``[views, 2]`` as (x, y).

        Returns:
            The same with source and detector moved.

        Raises:
            GeometryError: For another number of views, or values that are not finite.
        """
        shift = np.array(each_view("shift_mm", shift_mm, len(self.source), width=2))
        moved = {} if self.parallel else {"source": np.array(self.source) - shift}
        return dataclasses.replace(self, detector_mm=np.array(self.detector_mm) - shift, **moved)

    def with_detector_shift(self, shift_mm: Sequence[float] | Array) -> Self:
        """The geometry of a detector that slid along its axis; an arc slides along itself and keeps its centre.

        Args:
            shift_mm: How far in each view, ``[views]``, towards the last cell.

        Returns:
            The same with the detector moved.

        Raises:
            GeometryError: For another number of views, or values that are not finite.
        """
        shift = np.array(each_view("shift_mm", shift_mm, len(self.source)))[:, None]
        middle, axis = np.array(self.detector_mm), np.array(self.detector_axis)
        if not self.detector_radius_mm:
            return dataclasses.replace(self, detector_mm=middle + shift * axis)
        normal = self.to_vectors().normal()[:, :2]
        g = shift / self.detector_radius_mm
        slid = middle + self.detector_radius_mm * (np.sin(g) * axis + (1 - np.cos(g)) * normal)
        return dataclasses.replace(self, detector_mm=slid, detector_axis=np.cos(g) * axis + np.sin(g) * normal)

    def with_detector_turn(self, turn_rad: Sequence[float] | Array) -> Self:
        """The geometry of a detector that turned about its middle.

        Args:
            turn_rad: By how much in each view, ``[views]``, counter-clockwise.

        Returns:
            The same with the detector's axis turned.

        Raises:
            GeometryError: For another number of views, or values that are not finite.
        """
        turn = np.array(each_view("turn_rad", turn_rad, len(self.source)))[:, None]
        axis = np.array(self.detector_axis)
        across = np.stack([-axis[:, 1], axis[:, 0]], axis=1)
        return dataclasses.replace(self, detector_axis=np.cos(turn) * axis + np.sin(turn) * across)

    def with_source_distance(self, source_to_axis_mm: Sequence[float] | Array) -> Self:
        """The geometry with the source moved on its line through the axis; the detector stays.

        Args:
            source_to_axis_mm: How far from the axis in each view, ``[views]``.

        Returns:
            The same with the source moved.

        Raises:
            GeometryError: for parallel rays, which have no source, and for distances that are not > 0.
        """
        if self.parallel:
            raise GeometryError("parallel rays have no source whose distance could be set")
        wanted = np.array(each_view("source_to_axis_mm", source_to_axis_mm, len(self.source)))
        source = np.array(self.source)
        now = np.hypot(source[:, 0], source[:, 1])
        if not (wanted > 0).all() or not (now > 0).all():
            raise GeometryError(f"source_to_axis_mm must be > 0 in each view, got {wanted.min():g}")
        return dataclasses.replace(self, source=source * (wanted / now)[:, None])


def _nearest_orbit(vectors: Vectors, angles_rad: tuple[float, ...]) -> Orbit | None:
    """The mean of the views as each sees itself at its own angle; None where the source is not before the axis."""
    across, along = turned_axes(angles_rad)

    def seen(places: Float64Array) -> tuple[float, float]:
        return float((places[:, :2] * across).sum(axis=1).mean()), float((places[:, :2] * along).sum(axis=1).mean())

    offset, behind = seen(vectors.detector)
    row: dict[str, Any] = {"angles_rad": angles_rad, "detector_count": vectors.columns}
    row |= {"detector_spacing_mm": vectors.column_mm, "detector_offset_mm": offset}
    if vectors.parallel:
        return _steady_or_not(ParallelBeam(**row), vectors)
    near = -seen(vectors.source)[1]
    far = vectors.radius_mm or near + behind
    if not 0 < near <= far:
        return None
    row |= {"source_to_axis_mm": near, "source_to_detector_mm": far}
    if not vectors.radius_mm:
        return _steady_or_not(FanBeam(**row), vectors)
    cosine, sine = seen(vectors.u)
    if cosine < 0:  # counted from the other end
        cosine, sine = -cosine, -sine
    return _steady_or_not(ArcFanBeam(**{**row, "detector_offset_mm": -far * math.atan2(sine, cosine)}), vectors)


def _steady_or_not(nominal: DetectorRow, vectors: Vectors) -> Orbit | None:
    """The orbit of the ``nominal`` scanner, not steady where the vectors are not its own."""
    orbit = nominal.orbit
    if orbit is None:
        return None
    own, length = nominal.to_vectors(), vectors.columns * vectors.column_mm
    off = max(
        float(np.abs(own.detector - vectors.detector).max()),
        float(np.abs(own.u - vectors.u).max()) * length,
        float(np.abs(_unit(own) - _unit(vectors)).max()),
    )
    return dataclasses.replace(orbit, steady=off < _STEADY * vectors.column_mm)


def _unit(vectors: Vectors) -> Float64Array:
    """Sources, or directions of parallel rays as long as the detector: what may be off by a length."""
    if not vectors.parallel:
        return vectors.source
    length = vectors.columns * vectors.column_mm
    directions: Float64Array = vectors.source / np.linalg.norm(vectors.source, axis=1)[:, None]
    return directions * length
