"""Rays that were not measured though numbers stand there: cells and views that are dead, single rays without signal.

In counts a ray is dead if it counts (nearly) nothing where its neighbours prove that photons came: by Poisson's law
nothing is improbable beyond doubt. Metal darkens its surroundings as well, so zeros that touch each other count only
where they fill a whole cell or view. In line integrals, where the counts are gone, a dead cell is one that says the
same number in all views between cells that do not.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import generic_filter, median_filter

from ctrecon.measurement.mask import Mask
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Array, Float64Array

# A cell or view is dead below this share of what its neighbours count, if they count so many photons in all of it.
_SHARE, _ENOUGH = 0.01, 50.0
# A single ray is dead if it counts nothing where so many photons are expected: a chance of exp(-20).
_EXPECTED = 20.0
_BESIDE = 7
# Of fewer views or cells there are no neighbours to speak of.
_FEWEST = 8

# More constant lines than this share are how the object is.
_MOST_STUCK = 0.25

MOST_DEAD = 0.2
"""More dead rays than this share are no fault of single cells, and an error."""


def dead_rays(transmitted: Float64Array, white: Float64Array, sigma: float = 0.0) -> Mask:
    """Which rays of a scan of counts are alive.

    Args:
        transmitted: Counts less the dark field ``[views, cells]``.
        white: What they would be without an object, of the same shape, > 0 where the cell is alive.
        sigma: Electronic noise, in counts.

    Returns:
        The mask, True where usable.
    """
    alive: Mask = white > 0
    if min(alive.shape) < _FEWEST:
        return alive
    floor = 0.5 + 4 * sigma
    share = np.where(alive, transmitted / np.where(alive, white, 1), np.nan)
    for axis in (0, 1):  # whole cells, whole views
        mean = np.where(alive, share, 0).sum(axis) / np.maximum(alive.sum(axis), 1)
        beside = _beside(np.where(alive.any(axis), mean, np.nan))
        enough = beside * np.where(alive, white, 0).sum(axis) >= _ENOUGH + 5 * floor * np.sqrt(alive.sum(axis))
        lost = enough & (mean < _SHARE * beside)
        alive &= ~np.expand_dims(lost, axis)
    return alive & ~_lone(transmitted, alive, floor)


def _beside(values: Float64Array) -> Float64Array:
    """The median of each value's neighbours, without itself and what is no number."""
    around = np.r_[np.ones(_BESIDE // 2), 0, np.ones(_BESIDE // 2)]
    if values.size < 3:
        return np.zeros(values.shape)
    padded = np.where(np.isfinite(values), values, -1.0)
    found: Float64Array = generic_filter(padded, _median, footprint=around, mode="mirror")
    return found


def _median(values: Float64Array) -> float:
    known = values[values >= 0]
    return float(np.median(known)) if known.size else 0.0


def _lone(transmitted: Float64Array, alive: Mask, floor: float) -> Mask:
    """Single rays without signal amid rays with plenty of it."""
    none = alive & (transmitted <= floor)
    if not none.any():
        return none
    expected = median_filter(np.where(alive, transmitted, 0), (3, 5), mode="nearest")
    found: Mask = none & (expected >= _EXPECTED + 10 * floor)
    return found


def stuck_lines(values: Array) -> Mask:
    """Cells and views of line integrals that hold one number throughout, between others that do not.

    Args:
        values: ``[views, cells]``, or ``[views, rows, cells]``: every row by itself.

    Returns:
        The mask, True where usable.
    """
    alive = np.ones(values.shape, dtype=np.bool_)
    if values.ndim == 3:
        return np.stack([stuck_lines(values[:, row]) for row in range(values.shape[1])], axis=1)
    if min(values.shape) < 4:
        return alive
    for axis in (1, 0, 1):  # views, then cells in the others, and the other way round
        low = np.where(alive, values, np.inf).min(axis)
        constant = low == np.where(alive, values, -np.inf).max(axis)
        moving = np.flatnonzero(~constant & alive.any(axis))
        if moving.size < 3:
            continue
        constant[: moving[0]] = constant[moving[-1] :] = False  # air beside the object
        if constant.mean() <= _MOST_STUCK:
            alive &= ~np.expand_dims(constant, axis)
    return alive


def without_stuck(scan: Scan) -> Scan:
    """The scan with its stuck cells and views missing, and a note that names them."""
    alive = stuck_lines(scan.sinogram)
    if scan.mask is not None:
        alive |= ~scan.mask
    return scan if bool(alive.all()) else scan.without(alive, "the same number throughout, so taken for dead")
