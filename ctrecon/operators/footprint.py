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

from ctrecon.geometry import Float64Array, Geometry, ImageGrid

# At 45 degrees both axes serve; the choice must not hang on the last bit of a sine, or two machines would disagree.
TIE = 1e-9


@dataclass(frozen=True)
class Footprint:
    """Tables ``[views, detectors]``: row-marching flag, crossing (pixels) at line 0 and per line, mm per line."""

    by_row: npt.NDArray[np.bool_]
    start: Float64Array
    slope: Float64Array
    length_mm: Float64Array


def footprint(geometry: Geometry, grid: ImageGrid) -> Footprint:
    """The tables for every ray of ``geometry`` on ``grid``, in float64."""
    points, directions = geometry.rays()
    px, py = points[..., 0], points[..., 1]
    dx, dy = directions[..., 0], directions[..., 1]
    by_row = np.abs(dy) >= np.abs(dx) * (1 - TIE)
    middle_row, middle_column = (grid.rows - 1) / 2, (grid.columns - 1) / 2
    # Row-marching: x(y) = px + (y - py) m with m = dx / dy, at y = (middle_row - r) * pixel.
    m = np.where(by_row, dx, dy) / np.where(by_row, dy, dx)
    row_start = (px - py * m) / grid.pixel_mm + middle_column + m * middle_row
    # Column-marching: y(x) = py + (x - px) m with m = dy / dx, at x = (c - middle_column) * pixel.
    column_start = middle_row - (py - px * m) / grid.pixel_mm + m * middle_column
    return Footprint(
        by_row=np.ascontiguousarray(by_row),
        start=np.ascontiguousarray(np.where(by_row, row_start, column_start)),
        slope=np.ascontiguousarray(-m),
        length_mm=np.ascontiguousarray(grid.pixel_mm * np.sqrt(1 + m * m)),
    )
