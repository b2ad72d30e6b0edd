"""Leave out rays at the ceiling or the floor of the detector's range.

Rays at the end of the detector's range: the brightest and the darkest value that many rays share exactly.

A count that is cut off at the ceiling says that there were more photons, one at the floor that there were fewer; the
line integral of neither is known. Noise gives no two rays the same value, so one that is repeated at either end is a
limit. Air that is one number by itself (line integrals cut at 0) is such a limit, too, and loses little.
"""

from __future__ import annotations

import numpy as np

from ctrecon.errors import SettingError
from ctrecon.measurement.scan import Scan

PLACE = 10
"""Where among the corrections it is applied."""

# So many rays with exactly the extreme value are a limit; but data of which this share has it are like that.
_REPEATED, _MOST = 5, 0.2


def saturation(scan: Scan, *, most: float = _MOST) -> Scan:
    """The scan without its rays at a limit above the noise; the floor, 0, of noiseless air is none.

    Args:
        scan: What was measured.
        most: Of a larger share of the rays that hold it the extreme value is no limit, from 0 to 1.

    Raises:
        SettingError: For another share.
    """
    if not 0 < most < 1:
        raise SettingError(f"saturation:most must be above 0 and below 1, got {most:g}")
    f = scan.sinogram
    mask = np.ones(f.shape, dtype=np.bool_)
    for end in (f.min(), f.max()):
        at = f == end
        if _REPEATED <= np.count_nonzero(at) <= most * f.size and end != 0:
            mask &= ~at
    return scan if bool(mask.all()) else scan.without(mask, "at the end of the detector's range")
