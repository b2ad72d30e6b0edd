"""Joseph's weights: how a ray crosses the pixel grid, as one small table per ray.

A ray that is closer to vertical than to horizontal crosses every image row once; between the two pixel centres beside
the crossing it interpolates linearly, and each row counts with the ray's length inside it (P. M. Joseph, IEEE Trans.
Med. Imaging 1, 1982). Rays closer to horizontal do the same with columns. So a ray is: along which axis it marches,
the crossing ``start + slope * line`` in pixels, and the length in mm per line.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.support.arrays import Float64Array

# At 45 degrees both axes serve; the choice must not hang on the last bit of a sine, or two machines would disagree.
TIE = 1e-9


@dataclass(frozen=True)
class Footprint:
    """Tables ``[views, detectors]``: row-marching flag, crossing (pixels) at line 0 and per line, mm per line."""

    by_row: npt.NDArray[np.bool_]
    start: Float64Array
    slope: Float64Array
    length_mm: Float64Array


def footprint(geometry: Geometry, grid: Grid) -> Footprint:
    """The tables for every ray of ``geometry`` on ``grid``, in float64."""
    points, directions = geometry.rays()
    px, py = points[..., 0], points[..., 1]
    dx, dy = directions[..., 0], directions[..., 1]
    # Pixels that are not square are marched through as the eye sees them drawn square: less than one to a line.
    tall, wide = grid.in_plane("a projector").spacing_mm
    steep = tall / wide
    by_row = np.abs(dy) >= np.abs(dx) * steep * (1 - TIE)
    middle_row, middle_column = (grid.rows - 1) / 2, (grid.columns - 1) / 2
    px, py = px - grid.centre_mm[0], py - grid.centre_mm[1]
    # Row-marching: x(y) = px + (y - py) m with m = dx / dy, at y = (middle_row - r) * tall.
    m = np.where(by_row, dx, dy) / np.where(by_row, dy, dx)
    row_slope, column_slope = m * steep, m / steep
    row_start = (px - py * m) / wide + middle_column + row_slope * middle_row
    # Column-marching: y(x) = py + (x - px) m with m = dy / dx, at x = (c - middle_column) * wide.
    column_start = middle_row - (py - px * m) / tall + column_slope * middle_column
    return Footprint(
        by_row=np.ascontiguousarray(by_row),
        start=np.ascontiguousarray(np.where(by_row, row_start, column_start)),
        slope=np.ascontiguousarray(-np.where(by_row, row_slope, column_slope)),
        length_mm=np.ascontiguousarray(np.where(by_row, tall, wide) * np.sqrt(1 + m * m)),
    )


# Positions as whole numbers of 2^-35 pixels: exact to step along, the same in every kernel, and a pixel's number in
# an image of MAX_IMAGE_SIDE squared and 35 bits behind the point still fit 64 bits together.
BITS = 35
_FAR = 2.0**17  # pixels; from further off no ray comes back to the image within MAX_IMAGE_SIDE lines


@dataclass(frozen=True)
class March:
    """``Footprint`` for kernels, tables ``[views, detectors]`` of int64.

    Crossings at line 0 and steps per line in ``2^-BITS`` pixels; only on the lines ``enter..leave`` (exclusive) does
    a ray touch a pixel of the image.
    """

    start: npt.NDArray[np.int64]
    slope: npt.NDArray[np.int64]
    enter: npt.NDArray[np.int64]
    leave: npt.NDArray[np.int64]


def march(table: Footprint, grid: Grid) -> March:
    """The same rays in whole numbers."""
    one = 1 << BITS
    start = np.rint(np.clip(table.start, -_FAR, _FAR) * one).astype(np.int64)
    slope = np.rint(table.slope * one).astype(np.int64)
    lines = np.where(table.by_row, grid.rows, grid.columns)
    # A pixel is touched where -1 <= start + slope * line < width, in pixels.
    least = -one - start
    most = np.where(table.by_row, grid.columns, grid.rows) * one - 1 - start
    near, far = np.where(slope >= 0, least, most), np.where(slope >= 0, most, least)
    divisor = np.where(slope == 0, 1, slope)
    level = (least <= 0) & (most >= 0)
    enter = np.where(slope == 0, np.where(level, 0, lines), -((-near) // divisor))
    leave = np.where(slope == 0, lines, far // divisor + 1)
    enter = np.clip(enter, 0, lines)
    return March(start=start, slope=slope, enter=enter, leave=np.maximum(np.clip(leave, 0, lines), enter))
