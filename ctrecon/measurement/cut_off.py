"""Whether an object reaches beyond the detector (truncation), and what such a scan decides: its field of view alone.

Where views end amid the object, an image no wider than the field of view has no place for what lies beyond, and presses
it into its border. Of the plane outside of the field of view the data say hardly anything: no ray passes there from all
sides.
"""

from __future__ import annotations

import math

import numpy as np

from ctrecon.geometry.base import Geometry
from ctrecon.geometry.coverage import goes_round
from ctrecon.geometry.field_of_view import cell_at_axis_mm
from ctrecon.geometry.grid import Grid, default_grid
from ctrecon.measurement.mask import Mask
from ctrecon.support.arrays import Array

# A view is cut off where its last cell sees this share of the largest line integral; so many views must be.
_CUT, _VIEWS = 0.12, 0.1
_FEWEST_CELLS, _FEWEST_VIEWS = 24, 3
# What varies from cell to cell by more than this, or nowhere by this, is no object.
_ROUGH, _FLAT = 0.1, 0.05
# Over a whole turn, an end nearer to the axis than this share of the other: each ray it lacks is measured half a turn
# later. A shorter scan measures it in some views alone.
_SAME = 0.9
# So much wider than the field of view, or than twice the longer side, is the square of an object that is cut off.
_WIDER, _BEYOND = 1.5, 1.1
# Of so many cells the mean is what an end sees; this quantile of all values is a disc's middle, of which no end sees
# more than this share.
_AT_END, _TALL, _MOST = 3, 0.95, 0.99


def cut_off(sinogram: Array, geometry: Geometry, mask: Mask | None = None) -> bool:
    """Whether an object is seen by the detector's ends, those that decide how far the scan sees.

    Args:
        sinogram: Line integrals ``[views, detectors]``.
        geometry: Of the scan.
        mask: True where a ray is usable; views whose ends are missing say nothing.

    Returns:
        False as well where there are too few cells, or where the values are no object's.
    """
    f = np.asarray(sinogram, dtype=np.float64)
    orbit = geometry.orbit
    if f.ndim != 2 or f.shape[1] < _FEWEST_CELLS or f.shape[0] < _FEWEST_VIEWS or orbit is None:
        return False
    top = float(np.quantile(f, 0.99))
    rough = float(np.median(np.abs(np.diff(f, n=2, axis=1)))) / math.sqrt(6)
    if top <= 0 or rough > _ROUGH * top or float(np.quantile(f, 0.99) - np.quantile(f, 0.01)) < _FLAT * top:
        return False
    reach = _reach_mm(geometry)
    least = _SAME * max(reach) if goes_round(np.asarray(orbit.angles_rad)) else -math.inf
    seen = []
    for end, far in zip((0, -1), reach, strict=True):
        usable = np.ones(len(f), np.bool_) if mask is None else mask[:, end]
        if far >= least and usable.any():
            seen.append(f[usable, end] > _CUT * top)
    return bool(seen) and float(np.concatenate(seen).mean()) > _VIEWS


def cells_cut_off(sinogram: Array, geometry: Geometry, mask: Mask | None = None) -> int:
    """By about how many cells an object reaches beyond either end of the detector.

    Each view is taken for that of a disc, whose line integrals ``sqrt(R^2 - s^2)`` fall from the largest of all views
    in the middle to what the end sees; R - h, with the detector's half h, is what is cut off. The mean over all ends is
    weighted by what they see. (J. Hsieh et al., Med. Phys. 31, 2004, fit discs of water view by view.)

    Args:
        sinogram: Line integrals ``[views, detectors]``, missing ones filled.
        geometry: Of the scan.
        mask: As for ``cut_off``.

    Returns:
        0 where nothing is cut off, at most half of the detector.
    """
    if not cut_off(sinogram, geometry, mask):
        return 0
    f = np.asarray(sinogram, dtype=np.float64).clip(0)
    half = f.shape[1] / 2
    ends = np.stack([f[:, :_AT_END].mean(axis=1), f[:, -_AT_END:].mean(axis=1)])
    share = np.minimum(ends / (float(np.quantile(f, _TALL)) or f.max()), _MOST)
    further = np.clip((half - _AT_END / 2) / np.sqrt(1 - share**2) - half, 0, half)
    return max(1, round(float((further * ends).sum() / ends.sum())))


def wide_grid(geometry: Geometry, *, size: int | None = None) -> Grid:
    """A square with room for what reaches beyond the field of view: half as wide again, or as the longer side sees.

    Args:
        geometry: Of a scan that is cut off.
        size: Pixels a side; None for as large ones as the default grid has, or as a cell is where it has finer ones.

    Returns:
        The grid.

    Raises:
        GeometryError: The detector does not see the rotation axis from both sides.
    """
    plain = default_grid(geometry)
    reach = _reach_mm(geometry)
    width = max(_WIDER, _BEYOND * max(reach) / min(reach)) * max(plain.size_mm)
    if size is not None:
        return default_grid(geometry, size=size, pixel_mm=width / size)
    pixel = max(*plain.spacing_mm, cell_at_axis_mm(geometry))
    return default_grid(geometry, size=math.ceil(width / pixel - 1e-6), pixel_mm=pixel)


def _reach_mm(geometry: Geometry) -> tuple[float, float]:
    """How far the detector reaches to either side of where the axis projects to, on itself."""
    assert geometry.orbit is not None
    half, offset = geometry.detector_count * geometry.detector_spacing_mm / 2, geometry.orbit.detector_offset_mm
    return half - offset, half + offset


def undecided_beyond_mm(
    sinogram: Array, geometry: Geometry | None, grid: Grid | None, mask: Mask | None = None
) -> float | None:
    """The radius about the axis beyond which a scan that is cut off decides nothing.

    Args:
        sinogram: Line integrals ``[views, detectors]``.
        geometry: Of the scan; None where there is only a matrix.
        grid: Of the image.
        mask: As for ``cut_off``.

    Returns:
        In the unit of the geometry; None where the whole image lies within, or nothing is cut off.
    """
    if geometry is None or grid is None or np.ndim(sinogram) != 2 or not cut_off(sinogram, geometry, mask):
        return None
    radius = max(default_grid(geometry).size_mm) / 2
    (height, width), (x, y) = grid.size_mm, grid.centre_mm[:2]
    corner = math.hypot(width / 2 + abs(x), height / 2 + abs(y))
    return radius if corner > radius else None
