"""Rays through a grid of voxels, in the grid's own steps: where the planes of voxels stand at whole numbers.

A place is ``(i, j, k)``: the column (grows with x), the row (falls with y), the slice (grows with z). Joseph's
projector (P. M. Joseph, IEEE Trans. Med. Imaging 1, 1982) follows a ray from plane to plane across the axis along which
it advances by the most voxels, and interpolates within each plane between the four next voxels; what lies outside of
the grid is 0.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from ctrecon.errors import GeometryError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.vectors import Vectors
from ctrecon.operators.footprint import TIE
from ctrecon.support.arrays import Array, Float64Array

_LEVEL = 1e-9
"""How far columns of cells may lean from the axis of rotation, and still be taken for parallel to it."""


@dataclass(frozen=True, kw_only=True)
class Steps:
    """A grid's place and sides: how lengths in mm become steps from voxel to voxel."""

    shape: tuple[int, int, int]
    sides_mm: tuple[float, float, float]
    first_mm: tuple[float, float, float]

    @classmethod
    def of(cls, grid: Grid) -> Steps:
        """Raises GeometryError for a grid without slices."""
        if grid.slices is None or grid.slice_mm is None:
            raise GeometryError(
                "a geometry in space needs a grid of slices, and this one is of one plane; give slices and slice_mm, "
                "or rebin the scan to slices"
            )
        (dy, dx), dz = grid.spacing_mm, grid.slice_mm
        first = float(grid.x_mm[0]), float(grid.y_mm[0]), float(grid.z_mm[0])
        return cls(shape=(grid.columns, grid.rows, grid.slices), sides_mm=(dx, -dy, dz), first_mm=first)

    def places(self, mm: Float64Array) -> Float64Array:
        """From (x, y, z) in mm to ``(i, j, k)``."""
        return np.asarray((mm - np.asarray(self.first_mm)) / np.asarray(self.sides_mm))

    def directions(self, mm: Float64Array) -> Float64Array:
        return np.asarray(mm / np.asarray(self.sides_mm))


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Rays of a detector whose columns are parallel to the axis: those of a column share a plane along z.

    A ray's place after ``t`` is ``(p + t d, a_k + t b_k + r (p_k + t q_k))`` with ``r`` its row.

    Args:
        p: ``(i, j)`` where ``t`` is 0, ``[views, columns, 2]``.
        d: ``(i, j)`` by which it advances, the same shape.
        z: ``a_k, b_k, p_k, q_k``, ``[views, 4]``.
        along: 0 where a column crosses the planes of ``i``, 1 of ``j``, ``[views, columns]``.
        first: the first such plane that it meets within the grid.
        last: one past the last.
    """

    p: Float64Array
    d: Float64Array
    z: Float64Array
    along: Array
    first: Array
    last: Array

    def views(self, first: int, end: int) -> Columns:
        """Those of some views alone."""
        return Columns(**{field.name: getattr(self, field.name)[first:end] for field in fields(self)})


def columns_of(geometry: Geometry, grid: Grid) -> Columns | None:
    """The rays by columns; None where the columns lean, or rays are so steep that they cross slices first."""
    vectors, steps = geometry.to_vectors(), Steps.of(grid)
    if max(float(np.abs(vectors.v[:, :2]).max()), float(np.abs(vectors.u[:, 2]).max())) > _LEVEL:
        return None
    cells = steps.places(first_row(vectors))  # of row 0
    rise = vectors.row_mm * np.sign(vectors.v[:, 2]) / steps.sides_mm[2]
    zero = np.zeros_like(rise)
    if vectors.parallel:
        towards = steps.directions(vectors.source)
        p, d = cells[..., :2], np.broadcast_to(towards[:, None, :2], cells[..., :2].shape)
        z = np.stack([cells[:, 0, 2], towards[:, 2], rise, zero], axis=1)
    else:
        source = steps.places(vectors.source)
        p, d = np.broadcast_to(source[:, None, :2], cells[..., :2].shape), cells[..., :2] - source[:, None, :2]
        z = np.stack([source[:, 2], cells[:, 0, 2] - source[:, 2], zero, rise], axis=1)
    ends = np.stack([z[:, 1], z[:, 1] + (vectors.rows - 1) * z[:, 3]], axis=1)
    if bool((np.abs(ends).max(axis=1) > np.abs(d).max(axis=2).min(axis=1)).any()):
        return None
    along = np.abs(d[..., 1]) >= np.abs(d[..., 0]) * (1 - TIE)
    first, last = _planes(p, d, along, steps.shape)
    return Columns(
        p=np.ascontiguousarray(p), d=np.ascontiguousarray(d), z=z, along=along.astype(np.int8), first=first, last=last
    )


def first_row(vectors: Vectors) -> Float64Array:
    """The places of the cells of row 0, ``[views, columns, 3]`` in mm."""
    lowest = vectors.detector + vectors.row_places_mm[0] * vectors.v
    return replace(vectors, detector=lowest, rows=1).cells()[:, 0]


def _planes(
    p: Float64Array, d: Float64Array, along: Array, shape: tuple[int, int, int]
) -> tuple[Array, Array]:
    """Between which planes across its axis a column is less than a voxel outside of the grid, sideways."""
    by = along.astype(np.int64)[..., None]
    start, step = (np.take_along_axis(part, by, axis=2)[..., 0] for part in (p, d))
    side, drift = (np.take_along_axis(part, 1 - by, axis=2)[..., 0] for part in (p, d))
    planes, across = np.where(along, shape[1], shape[0]), np.where(along, shape[0], shape[1])
    slope = drift / step
    at = side - start * slope  # where it crosses plane 0
    with np.errstate(divide="ignore", invalid="ignore"):
        ends = np.stack([(-1 - at) / slope, (across - at) / slope])
    level = np.abs(slope) < 1e-12
    within = (at > -1) & (at < across)
    ends = np.where(level, np.where(within, [[[-np.inf]], [[np.inf]]], [[[0.0]], [[0.0]]]), ends)
    low, high = ends.min(axis=0), ends.max(axis=0)
    first = np.clip(np.ceil(low), 0, planes).astype(np.int32)
    last = np.clip(np.floor(high) + 1, first, planes).astype(np.int32)
    return first, last
