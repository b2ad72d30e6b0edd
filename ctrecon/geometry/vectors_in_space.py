"""A geometry given as arrays in space: any source, any detector, view by view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.checks import MAX_DETECTOR_CELLS, PerView, count, each_view, finite, positive
from ctrecon.geometry.registry import register
from ctrecon.geometry.vectors import Vectors
from ctrecon.support.arguments import checked_with
from ctrecon.support.arrays import Array


@register
@dataclass(frozen=True, kw_only=True)
class VectorsInSpace(Geometry):
    """Free vectors in space, one entry for each view, as (x, y, z).

    Args:
        parallel: whether the rays of a view are parallel.
        source: the source's place in mm; where ``parallel`` the direction of the rays, of length one.
        detector_mm: the place of the detector's middle.
        detector_axis: of length one, along a row to the next column.
        detector_column_axis: of length one, at right angles to it, along a column to the next row.
        detector_count: columns of cells.
        detector_rows: rows of cells.
        detector_spacing_mm: from column to column, along the arc where there is one.
        detector_row_spacing_mm: from row to row.
        detector_radius_mm: of an arc, whose centre is on the source's side; 0 for a flat detector.

    Raises:
        GeometryError: for arrays that do not fit, axes that are not of length one or not at right angles, a source in
            its own detector.
    """

    kind: ClassVar[str] = "vectors-in-space"
    title: ClassVar[str] = "free vectors in space, given view by view"

    parallel: bool = False
    source: tuple[tuple[float, float, float], ...]
    detector_mm: tuple[tuple[float, float, float], ...]
    detector_axis: tuple[tuple[float, float, float], ...]
    detector_column_axis: tuple[tuple[float, float, float], ...]
    detector_count: int
    detector_rows: int
    detector_spacing_mm: float = 1.0
    detector_row_spacing_mm: float = 1.0
    detector_radius_mm: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.parallel, bool):
            raise GeometryError(f"parallel must be true or false, got {self.parallel!r}")
        source = each_view("source", self.source, width=3)
        object.__setattr__(self, "source", source)
        for name in ("detector_mm", "detector_axis", "detector_column_axis"):
            object.__setattr__(self, name, each_view(name, getattr(self, name), len(source), width=3))
        for name in ("detector_count", "detector_rows"):
            object.__setattr__(self, name, count(name, getattr(self, name), MAX_DETECTOR_CELLS))
        for name in ("detector_spacing_mm", "detector_row_spacing_mm"):
            object.__setattr__(self, name, positive(name, getattr(self, name)))
        radius = finite("detector_radius_mm", self.detector_radius_mm)
        if radius < 0 or (radius and self.detector_count * self.detector_spacing_mm > 2 * np.pi * radius):
            raise GeometryError(
                f"detector_radius_mm must be 0 (flat) or at least the detector's length over 2 pi, got {radius}"
            )
        object.__setattr__(self, "detector_radius_mm", radius)
        self.to_vectors()

    @classmethod
    @checked_with(GeometryError)
    def of(cls, geometry: Geometry) -> VectorsInSpace:
        """Any geometry, view by view.

        Args:
            geometry: Of any class; one in the plane stays at z = 0.

        Returns:
            The same places and axes, in mm.
        """
        return cls.from_vectors(geometry.to_vectors())

    @classmethod
    @checked_with(GeometryError)
    def from_vectors(cls, vectors: Vectors) -> VectorsInSpace:
        """Vectors, as a geometry in space.

        Args:
            vectors: Any, also of one row.

        Returns:
            The geometry.
        """
        def listed(values: Array) -> PerView:
            return PerView(map(tuple, values.tolist()))

        return cls(
            parallel=vectors.parallel, source=listed(vectors.source), detector_mm=listed(vectors.detector),
            detector_axis=listed(vectors.u), detector_column_axis=listed(vectors.v), detector_count=vectors.columns,
            detector_rows=vectors.rows, detector_spacing_mm=vectors.column_mm, detector_row_spacing_mm=vectors.row_mm,
            detector_radius_mm=vectors.radius_mm,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        return len(self.source), self.detector_rows, self.detector_count

    def to_vectors(self) -> Vectors:
        """Its own arrays, as vectors.

        Returns:
            Source, detector's middle and axes of each view, ``[views, 3]``; places in mm, axes of length one.

        Raises:
            GeometryError: For axes that are not of length one or not at right angles, or a source in its own detector.
        """
        return Vectors(
            parallel=self.parallel, source=np.array(self.source), detector=np.array(self.detector_mm),
            u=np.array(self.detector_axis), v=np.array(self.detector_column_axis), rows=self.detector_rows,
            columns=self.detector_count, row_mm=self.detector_row_spacing_mm, column_mm=self.detector_spacing_mm,
            radius_mm=self.detector_radius_mm,
        )
