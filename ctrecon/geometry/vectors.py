"""The arrays that every geometry states: where source and detector stand, view by view.

A cell at ``s`` along the row and ``t`` along the column, both in mm from the detector's middle ``c``, stands at
``c + s u + t v`` on a flat detector. On an arc of radius ``r`` about an axis along ``v`` it stands at
``c + r (sin g u + (1 - cos g) n) + t v`` with ``g = s / r`` and ``n``, at right angles to ``u`` and ``v``, towards the
source. A ray is the line from the source through the cell; of parallel rays the direction is given instead. These are
ASTRA's ``parallel3d_vec``, ``cone_vec`` and ``cyl_cone_vec`` with lengths and directions apart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.geometry.checks import LARGEST
from ctrecon.support.arrays import Array, Float64Array

_UNIT = 1e-6
"""How far a detector's axis may be from length one: six decimal digits are enough for a file written by hand."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Vectors:
    """Arrays ``[views, 3]`` in mm, as (x, y, z). A geometry in the plane has ``z = 0`` throughout and one row.

    Args:
        parallel: whether the rays of a view are parallel.
        source: the source's place, or, where ``parallel``, the direction of the rays, of length one.
        detector: the middle of the detector.
        u: of length one, along a row to the next column.
        v: of length one, at right angles to ``u``, along a column to the next row.
        rows: how many rows of cells.
        columns: how many cells in a row.
        row_mm: from row to row.
        column_mm: from column to column, along the arc where the detector is one.
        radius_mm: of the detector's arc; 0 where it is flat.

    Raises:
        GeometryError: for arrays that are not finite, beyond any scanner or do not fit, axes that are not of length
            one, a source in its own detector.
    """

    parallel: bool
    source: Float64Array
    detector: Float64Array
    u: Float64Array
    v: Float64Array
    rows: int = 1
    columns: int
    row_mm: float = 1.0
    column_mm: float
    radius_mm: float = 0.0

    def __post_init__(self) -> None:
        for name in ("source", "detector", "u", "v"):
            array = np.array(getattr(self, name), dtype=np.float64)
            if array.ndim != 2 or array.shape[1] != 3 or array.shape != np.shape(self.source) or not array.size:
                raise GeometryError(f"{name} must be [views, 3] as the source is, got shape {array.shape}")
            bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
            if bad.size:
                raise GeometryError(f"{name} is not finite in {bad.size} views, the first of them view {bad[0]}")
            farthest = float(np.abs(array).max())
            if farthest > LARGEST:
                raise GeometryError(f"{name} must be within {LARGEST:g} mm, got {farthest:g}; is it in another unit?")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        for name in ("u", "v", "source") if self.parallel else ("u", "v"):
            off = np.abs(np.linalg.norm(getattr(self, name), axis=1) - 1)
            if off.max() > _UNIT:
                view = int(np.argmax(off > _UNIT))
                axis = getattr(self, name)[view].tolist()
                raise GeometryError(f"{name} must have length 1, got {axis} at view {view}")
        lean = np.abs((self.u * self.v).sum(axis=1))
        if lean.max() > 1e-3:
            raise GeometryError(f"u and v must be at right angles, they are not at view {int(np.argmax(lean > 1e-3))}")
        if self.parallel and self.radius_mm:
            raise GeometryError(f"parallel rays need a flat detector, got radius_mm = {self.radius_mm}")
        # The rays must not run within the detector: it would see all of them as one.
        away = self.source if self.parallel else self.source - self.detector
        height, length = np.abs((away * self.normal()).sum(axis=1)), np.linalg.norm(away, axis=1)
        flat = np.flatnonzero(~(height > 1e-9 * length))
        if flat.size:
            what = "the rays run along" if self.parallel else "the source stands in"
            raise GeometryError(f"{what} the detector at view {flat[0]}; check its axes and places")

    @property
    def planar(self) -> bool:
        """Whether everything is in the plane ``z = 0``, with a single row of cells."""
        flat = not (self.source[:, 2].any() or self.detector[:, 2].any() or self.u[:, 2].any())
        return self.rows == 1 and flat and not self.v[:, :2].any()

    @property
    def shape(self) -> tuple[int, ...]:
        """``(views, columns)`` in the plane, else ``(views, rows, columns)``."""
        return (len(self.source), self.columns) if self.planar else (len(self.source), self.rows, self.columns)

    @property
    def column_places_mm(self) -> Float64Array:
        """Of the cells of a row, from the detector's middle along ``u``, ``[columns]``."""
        return (np.arange(self.columns, dtype=np.float64) - (self.columns - 1) / 2) * self.column_mm

    @property
    def row_places_mm(self) -> Float64Array:
        """Of the rows, from the detector's middle along ``v``, ``[rows]``."""
        return (np.arange(self.rows, dtype=np.float64) - (self.rows - 1) / 2) * self.row_mm

    def normal(self) -> Float64Array:
        """At right angles to the detector.

        Returns:
            At right angles to ``u`` and ``v``, towards the source, ``[views, 3]``.
        """
        normal: Float64Array = np.cross(self.u, self.v)
        towards = -self.source if self.parallel else self.source - self.detector
        return normal * np.where((normal * towards).sum(axis=1) < 0, -1.0, 1.0)[:, None]

    def arc_centre(self) -> Float64Array:
        """About which point of its plane each view's arc is drawn. Only where there is an arc.

        Returns:
            ``[views, 3]`` in mm.
        """
        return self.detector + self.radius_mm * self.normal()

    def cells(self) -> Float64Array:
        """Where the cells are.

        Returns:
            The middle of each cell, ``[views, rows, columns, 3]`` in mm.
        """
        return self.cells_at(self.column_places_mm)

    def cells_at(self, along_mm: Float64Array) -> Float64Array:
        """Places on every row of the detector.

        Args:
            along_mm: From the detector's middle along ``u``, on an arc along the arc, ``[n]`` in mm.

        Returns:
            ``[views, rows, n, 3]`` in mm.
        """
        s, t = along_mm[:, None], self.row_places_mm[:, None]
        if self.radius_mm:
            g = s / self.radius_mm
            row = np.sin(g) * self.u[:, None] + (1 - np.cos(g)) * self.normal()[:, None]
            row = self.detector[:, None] + self.radius_mm * row
        else:
            row = self.detector[:, None] + s * self.u[:, None]
        return row[:, None] + (t * self.v[:, None])[:, :, None]

    def rays(self) -> tuple[Float64Array, Float64Array]:
        """The lines that are measured, one through the middle of each cell.

        Returns:
            A point of each ray in mm and its direction, of any length, both ``[views, rows, columns, 3]``; the points
            are sources of fans and cones, and cells where the rays are parallel.
        """
        cells, source = self.cells(), self.source[:, None, None]
        if self.parallel:
            return cells, np.broadcast_to(source, cells.shape)
        return np.broadcast_to(source, cells.shape), cells - source

    def views(self, index: slice | Array) -> Vectors:
        """Some of the views.

        Args:
            index: A slice, numbers from 0, or truth values ``[views]``.

        Returns:
            The vectors of these views.
        """
        return replace(
            self, source=self.source[index], detector=self.detector[index], u=self.u[index], v=self.v[index]
        )

    def split(self, per_cell: int) -> Vectors:
        """The same detector with finer cells along the row.

        Args:
            per_cell: Into how many each cell is cut, at least 1.

        Returns:
            Vectors with so many times the columns.
        """
        return replace(self, columns=self.columns * per_cell, column_mm=self.column_mm / per_cell)


def planar_vectors(
    source: Array, detector: Array, u: Array, *, columns: int, column_mm: float, parallel: bool, radius_mm: float = 0.0
) -> Vectors:
    """Vectors of a geometry in the plane: z is 0, v is (0, 0, 1), and there is one row.

    Args:
        source: ``[views, 2]`` as (x, y): its place in mm, or, where ``parallel``, the direction of the rays.
        detector: Its middle, ``[views, 2]``, in mm.
        u: Of length one, ``[views, 2]``, to the next column.
        columns: How many cells.
        column_mm: From cell to cell, along the arc where the detector is one.
        parallel: Whether the rays of a view are parallel.
        radius_mm: Of the detector's arc; 0 where it is flat.

    Returns:
        The same in space.

    Raises:
        GeometryError: As ``Vectors``.
    """
    def lifted(values: Array) -> Float64Array:
        return np.pad(np.asarray(values, dtype=np.float64), ((0, 0), (0, 1)))

    v = np.broadcast_to([0.0, 0.0, 1.0], (len(source), 3))
    return Vectors(
        parallel=parallel, source=lifted(source), detector=lifted(detector), u=lifted(u), v=v, columns=columns,
        column_mm=column_mm, radius_mm=radius_mm,
    )
