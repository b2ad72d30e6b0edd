"""Single rays that stand out from their neighbours on all sides, as cosmic rays and scattered photons leave them.

An object may be sharp along the detector or from view to view, and its finest detail is so in every view: many rays.
A zinger stands out in both directions, and there are few. So the scale that tells them apart is taken from the scan
itself, from how much nearly all rays stand out, whether that is noise or detail.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d, maximum_filter1d, median_filter

from ctrecon.support.arrays import Array, Float64Array

# A zinger stands out so many times as much as all but this share of the rays.
_TIMES, _SHARE = 8.0, 0.02
_CELLS, _VIEWS = 5, 3
# What is an object's stands out so much less at most in one view beside, and so much in the other: it is in every view.
# Another zinger may stand in one of them by chance, where views are few and what is seen moves far.
_LIKE, _FAINT = 1.5, 3.0
# The cubic through the two neighbours on either side, in the middle.
_CUBIC = np.array([-1, 4, 0, 4, -1]) / 6


def zingers(
    sinogram: Array, order: npt.NDArray[np.intp] | None = None, *, reach: int | None = None
) -> tuple[Float64Array, npt.NDArray[np.bool_]]:
    """Find single rays that no object and no usual noise explains.

    Args:
        sinogram: ``[views, detectors]``.
        order: The views as they follow each other by angle; without it they do as they are.
        reach: By how many cells what is seen may move from one view to the next: a ray is none where the views beside
            have others, within so many cells, that stand out in the same sense, two thirds as much in one and a third
            as much in the other. None not to look.

    Returns:
        The sinogram in float64 with such rays interpolated between their neighbours on the detector, and which these
        are.
    """
    order = np.arange(len(sinogram)) if order is None else order
    values = sinogram[order].astype(np.float64)
    beside = median_filter(values, (1, _CELLS), mode="mirror")
    before = median_filter(values, (_VIEWS, 1), mode="mirror")
    # The same sense in both directions, and by how much in the lesser one.
    along, across = values - beside, values - before
    lone = np.where(along * across > 0, np.minimum(np.abs(along), np.abs(across)), 0.0)
    usual = float(np.quantile(lone, 1 - _SHARE))
    found = lone > _TIMES * usual if usual > 0 else np.zeros(values.shape, dtype=np.bool_)
    if reach is not None and found.any():
        found &= ~_seen_beside(along, reach)
    between = correlate1d(np.where(found, beside, values), _CUBIC, mode="mirror")
    back = np.argsort(order)
    return np.where(found, between, values)[back], found[back]


def _seen_beside(along: Float64Array, reach: int) -> npt.NDArray[np.bool_]:
    """Where the views before and after hold what may be the same detail, a few cells on: small things move fast."""
    seen = np.zeros(along.shape, dtype=np.bool_)
    for sense in (along, -along):
        most = maximum_filter1d(sense, 2 * reach + 1, axis=1, mode="nearest")
        beside = np.pad(most, ((1, 1), (0, 0)), mode="reflect")
        before, after = beside[:-2], beside[2:]
        least, most = np.minimum(before, after), np.maximum(before, after)
        seen |= (sense > 0) & (most > sense / _LIKE) & (least > sense / _FAINT)
    return seen
