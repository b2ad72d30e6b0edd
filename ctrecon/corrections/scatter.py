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

# Of the transmission: a ray that would keep less says nothing any more, as behind metal. Where so many do, the share is
# wrong.
_LEFT, _MOST = 0.05, 0.1


def scatter(scan: Scan, *, share: float = 0.0, width: float = 0.0) -> Scan:
    """The scan without scattered photons; the variance grows as the transmission falls.

    Args:
        scan: Line integrals ``p = -log(exp(-f) + s)``.
        share: ``s``, of the open beam, from 0 to less than 1; with a ``width`` of the blurred transmission.
        width: Of the kernel, in cells (standard deviation of a Gauss curve); 0 for a constant.

    Returns:
        The scan; rays of which less than 5% would be left count as missing.

    Raises:
        SettingError: For a share or width out of range, or more scatter than a tenth of the rays measured in all.
    """
    if not 0 <= share < 1 or not width >= 0:
        raise SettingError(f"scatter:share must lie in [0, 1) and width be >= 0, got {share:g} and {width:g}")
    if share == 0:
        return scan
    seen = np.exp(-scan.sinogram.astype(np.float64))
    background = share * (gaussian_filter1d(seen, width, axis=-1, mode="nearest") if width > 0 else 1.0)
    left = seen - background
    kept = left >= _LEFT * seen
    measured = kept if scan.mask is None else kept[scan.mask]
    clipped = 1 - float(measured.mean())
    if clipped > _MOST:
        every = seen if scan.mask is None else seen[scan.mask]
        most = (1 - _LEFT) * float(np.quantile(every, _MOST))
        raise SettingError(
            f"scatter:share={share:g} of the open beam is more than {100 * clipped:.3g}% of the rays of {scan.source} "
            f"measured in all; a constant of {most:.2g} is less than what all but a tenth of them did"
        )
    left = np.where(kept, left, seen)
    variance = scan.variance
    if variance is not None:
        variance = (variance * (seen / left) ** 2).astype(variance.dtype)
    scan = replace(scan, sinogram=(-np.log(left)).astype(scan.sinogram.dtype), variance=variance)
    return scan if bool(kept.all()) else scan.without(kept, "less than their scatter")
