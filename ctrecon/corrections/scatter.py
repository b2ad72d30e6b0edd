"""Take off scattered photons, a share of the open beam.

Scattered photons: what is measured is transmission plus a background, a share of the open beam.

A constant (G. H. Glover, Med. Phys. 9, 860, 1982), or a broad blur of the transmission itself (a kernel: L. A. Love,
R. A. Kruger, Med. Phys. 14, 178, 1987) of the same strength.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from ctrecon.errors import SettingError
from ctrecon.measurement.scan import Scan

PLACE = 40
"""Where among the corrections it is applied."""

# Of the transmission: so much is left to a ray at least.
_LEFT = 0.05


def scatter(scan: Scan, *, share: float = 0.0, width: float = 0.0) -> Scan:
    """The scan without scattered photons; the variance grows as the transmission falls.

    Args:
        scan: Line integrals ``p = -log(exp(-f) + s)``.
        share: ``s``, of the open beam, from 0 to less than 1; with a ``width`` of the blurred transmission.
        width: Of the kernel, in cells (standard deviation of a Gauss curve); 0 for a constant.

    Raises:
        SettingError: For a share or width out of range.
    """
    if not 0 <= share < 1 or not width >= 0:
        raise SettingError(f"scatter:share must lie in [0, 1) and width be >= 0, got {share:g} and {width:g}")
    if share == 0:
        return scan
    seen = np.exp(-scan.sinogram.astype(np.float64))
    background = share * (gaussian_filter1d(seen, width, axis=-1, mode="nearest") if width > 0 else 1.0)
    left = np.maximum(seen - background, _LEFT * seen)
    variance = scan.variance
    if variance is not None:
        variance = (variance * (seen / left) ** 2).astype(variance.dtype)
    return replace(scan, sinogram=(-np.log(left)).astype(scan.sinogram.dtype), variance=variance)
