"""Views that differ in scale where the data alone say it: parallel beams that see the whole object.

The totals of all views are one and the same mass (the zeroth of the conditions of S. Helgason and D. Ludwig).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.ndimage import median_filter

from ctrecon.diagnosis.causes.view_gain import LEAST_SCATTER, enough_views, is_weighed, suggested
from ctrecon.diagnosis.noise import noise_share
from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Float64Array

PLACE = 220
SPEAKS = True

# A mass that scatters by so many times what noise, rather too large, makes of it is no matter of how an image fits.
_SURE, _SLOW = 2.0, 7


def view_mass(scan: Scan) -> Iterator[Suggestion]:
    """The scan with each view's values times one factor, by the masses of parallel views: the data alone say it."""
    if not enough_views(scan) or not is_weighed(scan):
        return
    f = scan.sinogram.astype(np.float64)
    factors = _by_mass(f)
    if factors is not None:
        # What single rays or views do to their sums, as zingers, is another matter: what stays for long is not.
        slow = float(np.std(median_filter(factors, _SLOW, mode="nearest")))
        sure = slow > max(LEAST_SCATTER, _SURE * noise_share(scan, 1) * _scatter_of_noise(f))
        yield from suggested(scan, factors, f**2, f, certain=sure)


def _scatter_of_noise(f: Float64Array) -> float:
    """What noise of the size of the data would make their sums scatter by, as a share of these."""
    return float(np.sqrt((f**2).mean() * f.shape[1])) / float(np.median(f.sum(axis=1)))


def _by_mass(f: Float64Array) -> Float64Array | None:
    totals = f.sum(axis=1)
    if (totals <= 0).any():
        return None
    factors: Float64Array = float(np.median(totals)) / totals
    return factors
