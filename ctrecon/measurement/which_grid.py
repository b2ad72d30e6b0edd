"""Which square of pixels a scan is reconstructed on, where not all of it is said."""

from __future__ import annotations

import math
from dataclasses import replace

from ctrecon.geometry.base import Geometry
from ctrecon.geometry.field_of_view import covered_mm
from ctrecon.geometry.grid import Grid, default_grid
from ctrecon.measurement.cut_off import wide_grid
from ctrecon.measurement.extent import grid_of_object, object_radius_mm
from ctrecon.support.arrays import Array


def chosen_grid(
    sinogram: Array, geometry: Geometry, own: Grid | None, *, size: int | None, pixel_mm: float | None, wide: bool
) -> tuple[Grid, bool]:
    """What is given, and the rest such that the same square stays covered.

    That square is the scan's own grid, else what the object needs of the field of view where neither size nor pixel is
    given (``extent.py``), else the field of view, wider where the object is cut off (``cut_off.py``).

    Args:
        sinogram: Line integrals ``[views, detectors]``, 0 where a ray is missing; in space any.
        geometry: Of the scan.
        own: Its grid, where it has one; its slices stay what they are.
        size: Pixels a side.
        pixel_mm: Side of a pixel, in the geometry's unit of length.
        wide: Whether the object is cut off.

    Returns:
        The grid, and whether it reaches beyond the field of view because the object does.

    Raises:
        GeometryError: No such grid, or a field of view of nothing.
    """
    if own is None and wide and pixel_mm is None:
        return wide_grid(geometry, size=size), True
    if own is None and size is None and pixel_mm is None:
        if len(geometry.shape) == 3:
            return default_grid(geometry), False
        return grid_of_object(geometry, object_radius_mm(sinogram, geometry)), False
    width = None if own is None else max(own.size_mm)
    if size is None and pixel_mm is not None and pixel_mm > 0:
        size = max(1, math.ceil((width or covered_mm(geometry)) / pixel_mm - 1e-6))
    elif size is not None and size > 0 and pixel_mm is None and width is not None:
        pixel_mm = width / size
    square = default_grid(geometry, size=size, pixel_mm=pixel_mm)
    if own is not None:
        square = replace(square, centre_mm=own.centre_mm, slices=own.slices, slice_mm=own.slice_mm)
    return square, False
