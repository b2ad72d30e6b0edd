"""How far the object reaches from the rotation axis, from the rays that something attenuates.

An image that covers the whole field of view spends most of its pixels on air where the object is small. The default
grid has as many pixels a side as the detector has cells, laid over the object alone, so that they are finer where that
costs nothing; finer than half a cell, as seen at the axis, the detector tells nothing apart.
"""

from __future__ import annotations

import numpy as np

from ctrecon.geometry.base import Geometry
from ctrecon.geometry.field_of_view import cell_at_axis_mm
from ctrecon.geometry.grid import Grid, default_grid
from ctrecon.support.arrays import Array

# A ray is attenuated where the median of its neighbourhood exceeds this share of the largest, and the noise.
_FAINT, _TIMES_NOISE = 2e-3, 5.0
_NEIGHBOURS = 5
# Standard deviation over median absolute value, and over that of second differences.
_ROBUST = 1.4826 / 6**0.5
# Beyond the outermost ray: its own width and the pixels' corners.
_CELLS_BEYOND, _SHARE_BEYOND = 2.0, 0.04


def object_radius_mm(sinogram: Array, geometry: Geometry, *, but_for: float = 0.0) -> float | None:
    """Distance from the rotation axis of the outermost ray that is attenuated.

    Args:
        sinogram: Line integrals ``[views, detectors]``.
        geometry: Where the rays are.
        but_for: This share of the views, those that see it furthest out, is not believed: noise looks like an object.

    Returns:
        In mm (or cells), not above the largest distance of a ray; None where noise hides whether there is an object,
        or where there are too few cells to tell.
    """
    values = np.asarray(sinogram, dtype=np.float64)
    if values.shape[1] < 2 * _NEIGHBOURS:
        return None
    windows = np.lib.stride_tricks.sliding_window_view(values, _NEIGHBOURS, axis=1)
    smooth = np.abs(np.median(windows, axis=-1))
    noise = _ROBUST * np.median(np.abs(np.diff(values, n=2, axis=1)), axis=1, keepdims=True)
    seen = smooth > np.maximum(_FAINT * smooth.max(), _TIMES_NOISE * noise / _NEIGHBOURS**0.5)
    if not seen.any():
        return None
    # A window that touches the object counts as a whole.
    whole = np.zeros(values.shape, dtype=bool)
    for shift in range(_NEIGHBOURS):
        whole[:, shift : shift + seen.shape[1]] |= seen
    points, directions = geometry.rays()
    away = np.abs(points[..., 0] * directions[..., 1] - points[..., 1] * directions[..., 0])
    away /= np.hypot(directions[..., 0], directions[..., 1])
    furthest = np.sort(np.where(whole, away, 0).max(axis=1))
    return float(furthest[-1 - int(but_for * furthest.size)])


def grid_of_object(geometry: Geometry, radius: float | None) -> Grid:
    """A square about the axis with as many pixels a side as the detector has cells, or fewer.

    Args:
        geometry: Of the scan; its field of view is covered where no ``radius`` is known, and never more.
        radius: What ``object_radius_mm`` gives.

    Returns:
        Pixels are at least half a cell wide, as seen at the axis.

    Raises:
        GeometryError: The detector does not see the rotation axis from both sides.
    """
    whole = default_grid(geometry)
    if radius is None:
        return whole
    cell = cell_at_axis_mm(geometry)
    side = 2 * (radius * (1 + _SHARE_BEYOND) + _CELLS_BEYOND * cell)
    side = min(side, whole.size_mm[0])
    pixel = max(side / geometry.detector_count, cell / 2)
    return default_grid(geometry, size=int(np.ceil(side / pixel - 1e-6)), pixel_mm=pixel)
