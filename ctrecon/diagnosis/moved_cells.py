"""A scan whose cells stand beside their places, brought to where they should be by interpolation across cells."""

from __future__ import annotations

import dataclasses

import numpy as np

from ctrecon.measurement.mask import mask_of_lines, together
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import BoolArray, Float64Array, IntArray

_POINTS = 4
# A place is missing where the next cell is this far away; of two cells so near to one another the one that was moved
# says nothing new.
_MISSING, _TWICE = 0.75, 0.5


def with_cells_moved(scan: Scan, inside: BoolArray, by: float) -> Scan | None:
    """The scan on even cells, if those ``inside`` stood ``by`` cells further on than stated.

    Args:
        scan: In the plane.
        inside: ``[cells]``, which ones.
        by: In cells, towards the last one where positive.

    Returns:
        By polynomials through the nearest cells; places that no cell is near to are missing. None where few are left.
    """
    places = np.arange(inside.size) + by * inside
    others = np.flatnonzero(~inside)
    nearest = np.abs(places[:, None] - others).min(axis=1, initial=np.inf)
    kept = np.flatnonzero(~inside | (nearest > _TWICE))
    kept = kept[np.argsort(places[kept])]
    if kept.size < _POINTS:
        return None
    cells, weights, missing = _between(places, kept)
    f = (scan.sinogram.astype(np.float64)[:, cells] * weights).sum(axis=2)
    seen = None if scan.mask is None else (scan.mask[:, cells] | (weights == 0)).all(axis=2)
    gap = mask_of_lines(scan.source, f.shape, missing, [])
    both = together(seen, gap)
    if both is None or not both.any():
        return None
    variance = scan.variance
    if variance is not None:
        spread = (np.broadcast_to(variance, f.shape).astype(np.float64)[:, cells] * weights**2).sum(axis=2)
        variance = spread.astype(variance.dtype)
    moved = dataclasses.replace(
        scan, sinogram=f.astype(scan.sinogram.dtype), variance=variance, mask=seen, counts=None, white=None
    )
    return moved.without(gap, "by diagnosis") if missing else moved


def _between(places: Float64Array, kept: IntArray) -> tuple[IntArray, Float64Array, list[int]]:
    """Of each place the cells nearest to it and their weights, Lagrange's; and which places no cell is near to."""
    at, even = places[kept], np.arange(places.size)
    first = np.clip(np.searchsorted(at, even) - _POINTS // 2, 0, at.size - _POINTS)
    near = first[:, None] + np.arange(_POINTS)
    cells, off = kept[near], at[near] - even[:, None]
    weights = np.ones(cells.shape)
    for one in range(_POINTS):
        for other in range(_POINTS):
            if other != one:
                weights[:, one] *= off[:, other] / (off[:, other] - off[:, one])
    nearest = np.abs(off).argmin(axis=1)
    missing = np.flatnonzero(np.take_along_axis(np.abs(off), nearest[:, None], axis=1)[:, 0] > _MISSING)
    weights[missing] = 0
    weights[missing, nearest[missing]] = 1  # a guess; polynomials go anywhere beyond the last cell
    return cells, weights, missing.tolist()
