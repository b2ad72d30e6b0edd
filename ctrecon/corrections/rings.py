"""Take out stripes of single cells, which draw rings (N. T. Vo's set).

Stripes of single cells, which a reconstruction turns into rings, by a filter of N. T. Vo in the library algotom.

N. T. Vo, R. C. Atwood, M. Drakopoulos, "Superior techniques for eliminating ring artifacts in X-ray micro-tomography",
Opt. Express 26, 28396, 2018, algorithm 3: a cell's values in order of size are compared with its neighbours' in
theirs, so what differs between cells whatever the object is, is the cells' own. The filter changes all cells a little,
also those without a fault, so a cell takes what it gives only where half of all views agree that it lies off its
neighbours, by more than their noise and more than other cells do.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from algotom.prep.removal import remove_stripe_based_sorting

from ctrecon.errors import SettingError
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import BoolArray, Float64Array

PLACE = 60
"""Where among the corrections it is applied."""

# A stripe is a cell whose median deviation is so many standard errors, and so many times that of usual cells.
_ERRORS, _TIMES = 4.0, 5.0
_MOST = 0.25


def rings(scan: Scan, *, size: float = 5, times: float = _TIMES) -> Scan:
    """The scan without stripes; variances stay, since the gain of a cell is what was wrong.

    Args:
        scan: What was measured.
        size: Cells that the filter compares, >= 3; more for stripes wider than one cell.
        times: How far from its neighbours a cell with a stripe lies, in units of what usual cells do, > 0.

    Raises:
        SettingError: For a number out of its range.
    """
    if not (size >= 3 and times > 0):
        raise SettingError(f"rings needs size >= 3 and times > 0, got {size:g} and {times:g}")
    f = scan.sinogram.astype(np.float64)
    rows = [f] if f.ndim == 2 else [f[:, row] for row in range(f.shape[1])]
    clean = [_without(one, int(size), times) for one in rows]
    if all(one is given for one, given in zip(clean, rows, strict=True)):
        return scan
    whole = clean[0] if f.ndim == 2 else np.stack(clean, axis=1)
    return replace(scan, sinogram=whole.astype(scan.sinogram.dtype))


def _without(f: Float64Array, size: int, times: float) -> Float64Array:
    found = _striped(f, times)
    if not found.any():
        return f
    clean: Float64Array = remove_stripe_based_sorting(f.copy(), size=min(size, f.shape[1]), dim=1)
    return np.where(found, clean, f)


def _striped(f: Float64Array, times: float) -> BoolArray:
    """The largest stripe first, taken out before the next one is looked for: it stands in its neighbours' way."""
    values, found = f.copy(), np.zeros(f.shape[1], dtype=np.bool_)
    for _ in range(int(_MOST * f.shape[1])):
        away = values - _between(values)
        level = np.median(away, axis=0)
        error = 1.4826 * np.median(np.abs(away - level), axis=0) * 1.25 / np.sqrt(len(f))
        usual = 1.4826 * float(np.median(np.abs(level)))
        worst = int(np.argmax(np.abs(level)))
        if np.abs(level[worst]) <= max(_ERRORS * error[worst], times * usual, 1e-9 * float(np.abs(f).max())):
            break
        found[worst] = True
        values[:, worst] -= level[worst]
    return found


def _between(f: Float64Array) -> Float64Array:
    """Each cell by the cubic through two neighbours on either side."""
    padded = np.pad(f, ((0, 0), (2, 2)), mode="reflect")
    return (4 * (padded[:, 1:-3] + padded[:, 3:-1]) - padded[:, :-4] - padded[:, 4:]) / 6
