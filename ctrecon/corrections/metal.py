"""Leave out rays through metal.

Rays through metal carry hardly any photons, and scatter and hardening decide what they say: they are left out.

Methods that weigh rays then reconstruct the object from the others; filtered back projection sees them filled between
neighbours and by its own image (W. A. Kalender, R. Hebel, J. Ebersberger, Radiology 164, 576, 1987).
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation

from ctrecon.errors import SettingError
from ctrecon.measurement.mask import Mask
from ctrecon.measurement.scan import Scan

PLACE = 90
"""Where among the corrections it is applied."""

# Of the rays that show this share of the largest value, metal crosses fewer than that share.
_ABSORBS, _MOST = 0.05, 0.6


def metal(scan: Scan, *, above: float | None = None, border: float = 1) -> Scan:
    """The scan without rays whose line integral is ``above`` a limit, and ``border`` cells on either side.

    Args:
        scan: What was measured.
        above: The limit, > 0.
        border: Cells.

    Raises:
        SettingError: Where no limit is given, one that is not > 0, or one that most of the object is above.
    """
    if above is None or not above > 0 or border < 0:
        raise SettingError("metal needs the line integral above which rays run through metal; give metal:above=NUMBER")
    rays = above_limit("metal", scan, above)
    if not rays.any():
        return scan
    return scan.without(~widened(rays, border), f"through metal, above {above:g}")


def above_limit(name: str, scan: Scan, above: float) -> Mask:
    """Rays whose line integral is above a limit, which the object as a whole is not.

    Args:
        name: Of the correction.
        scan: What was measured.
        above: The limit, a line integral.

    Returns:
        ``True`` for them.

    Raises:
        SettingError: Where it is most of what absorbs: an attenuation was given, not a line integral.
    """
    rays: Mask = scan.sinogram > above
    top = float(scan.sinogram.max())
    if np.count_nonzero(rays) > _MOST * np.count_nonzero(scan.sinogram > _ABSORBS * top):
        raise SettingError(
            f"{name}:above={above:g} takes {rays.mean():.0%} of the rays for metal, which is most of the object; it is "
            f"a line integral, and these reach {top:.3g}: give a larger one"
        )
    return rays


def widened(rays: Mask, border: float) -> Mask:
    """``rays`` ``[views, ..., detectors]`` with so many cells more on either side."""
    if border < 1 or not rays.any():
        return rays
    along = np.ones((1,) * (rays.ndim - 1) + (2 * int(border) + 1,), dtype=np.bool_)
    wider: Mask = binary_dilation(rays, along)
    return wider
