"""Two cells of the detector that stand in each other's place: exchanged back, the data are far smoother across cells.

An image explains such data but for two cells, and rings hide it. Neighbours of an honest detector that are exchanged
make the data rougher, and cells that are dead or read too much stay so wherever they stand.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import combinations
from operator import itemgetter

import numpy as np
from scipy.ndimage import median_filter

from ctrecon.diagnosis.suggestion import Suggestion, reordered
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Float64Array

PLACE = 170
SPEAKS = True

# About so many views are looked at; so many cells that are rougher than those around are tried with each other and with
# their neighbours.
_VIEWS, _ROUGHEST, _AROUND, _FEWEST = 64, 7, 9, 16
# What must go of the roughness about either cell, and how sure that is, in standard errors over the views. Of 42 honest
# scans (six families, 64 to 200 cells, noise of 0.05% to 3%) the best exchange took 4% away.
_GOES, _SURE = 0.7, 3.5
# Cells to either side that a third difference of one reaches.
_REACH = 3


def exchanged_cells(scan: Scan) -> Iterator[Suggestion]:
    """The scan with the two cells exchanged whose exchange takes most of the roughness away."""
    if scan.sinogram.ndim != 2 or min(scan.sinogram.shape) < _FEWEST or scan.mask is not None:
        return
    f = scan.sinogram[:: max(1, scan.sinogram.shape[0] // _VIEWS)].astype(np.float64)
    count = f.shape[1]
    rough = _roughness(f)
    stands_out = rough / np.maximum(median_filter(rough, _AROUND, mode="nearest"), 1e-300)
    roughest = sorted(int(cell) for cell in np.argsort(stands_out)[-_ROUGHEST:])
    beside = ((cell - before, cell + 1 - before) for cell in roughest for before in (0, 1))
    pairs = {*combinations(roughest, 2), *((one, two) for one, two in beside if one >= 0 and two < count)}
    share, first, second = max((_taken_away(f, *pair), *pair) for pair in sorted(pairs))
    if share < _GOES:
        return
    order = np.arange(count)
    order[[first, second]] = second, first
    yield Suggestion(
        cause="cells-out-of-order", words=f"cells {first} and {second} of the detector are exchanged",
        scan=dataclasses.replace(scan, **reordered(scan, itemgetter((slice(None), order)))), certain=True,
        evidence=f"exchanged back, {share:.0%} of what they stand out by is gone",
    )  # fmt: skip


def _roughness(f: Float64Array) -> Float64Array:
    """Of each cell the mean square distance from the cubic through two neighbours on either side; 0 at the ends."""
    off = np.zeros(f.shape[1])
    off[2:-2] = ((f[:, 2:-2] - (4 * (f[:, 1:-3] + f[:, 3:-1]) - f[:, :-4] - f[:, 4:]) / 6) ** 2).mean(axis=0)
    return off


def _taken_away(f: Float64Array, first: int, second: int) -> float:
    """The share of the roughness about two cells that goes with their exchange, of the cell that gains less.

    It is 0 where the views do not agree that any does.
    """
    shares = []
    for cell, other in ((first, second), (second, first)):
        begin = max(0, cell - _REACH)
        about = f[:, begin : cell + _REACH + 1]
        exchanged = about.copy()
        exchanged[:, cell - begin] = f[:, other]
        if 0 <= other - begin < about.shape[1]:
            exchanged[:, other - begin] = f[:, cell]
        before, after = ((np.diff(values, n=3, axis=1) ** 2).sum(axis=1) for values in (about, exchanged))
        less = before - after
        whole, spread = float(before.sum()), float(less.std()) * np.sqrt(less.size)
        if whole == 0 or float(less.sum()) < _SURE * spread:
            return 0.0
        shares.append(float(less.sum()) / whole)
    return min(shares)
