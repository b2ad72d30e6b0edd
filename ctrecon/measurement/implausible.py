"""What no scanner of an object gives, seen in the numbers alone: values, lengths, angles."""

from __future__ import annotations

import numpy as np

from ctrecon.geometry.field_of_view import covered_mm
from ctrecon.measurement.scan import Scan

# Of exp(-15) of the beam nothing is left to be measured.
_OPAQUE = 15.0
# Noise about air is below 0 half of the time, but not by so much of the largest line integral.
_BELOW, _SHARE = 0.05, 0.02
_SMALLEST_MM, _LARGEST_MM = 0.01, 3000.0
_FEW_VIEWS = 16
_SAME_ANGLE_RAD = 1e-6
_REPEATED = 0.3


def implausible(scan: Scan) -> list[str]:
    """One sentence on each; none for a plain scan.

    Args:
        scan: What was measured.
    """
    found = []
    seen = scan.sinogram if scan.mask is None else scan.sinogram[scan.mask]
    top = float(np.quantile(seen, 0.999))
    if top <= 0:
        found.append(f"hardly any line integral is above 0 (99.9% are below {top:.3g}): is the sign right?")
    elif float(np.mean(seen < -_BELOW * top)) > _SHARE:
        share = float(np.mean(seen < -_BELOW * top))
        below = f"{share:.1%} of the line integrals lie below {-_BELOW * top:.3g}"
        found.append(f"{below}: is the white field of this scan?")
    if top > _OPAQUE:
        found.append(f"line integrals of {top:.3g} leave exp(-{top:.3g}) of the beam: are these line integrals?")
    values, times = np.unique(seen, return_counts=True)
    most = int(np.argmax(times))
    if times[most] > _REPEATED * seen.size and values.size > 1 and values[most] != 0:
        same = f"{times[most] / seen.size:.0%} of the values are exactly {values[most]:.6g}"
        found.append(f"{same}: cut off or filled in?")
    return found + _of_geometry(scan)


def _of_geometry(scan: Scan) -> list[str]:
    found: list[str] = []
    geometry = scan.geometry
    if geometry is None:
        return found
    if scan.in_mm:
        wide = covered_mm(geometry)
        if not _SMALLEST_MM <= wide <= _LARGEST_MM:
            found.append(f"the field of view is {wide:.3g} mm wide: are the lengths in mm?")
    views = scan.sinogram.shape[0]
    if views < _FEW_VIEWS:
        found.append(f"{views} views are few")
    orbit = geometry.orbit
    if orbit is not None and views > 1:
        angles = np.asarray(orbit.angles_rad)
        still = int(np.count_nonzero(np.abs(np.diff(angles)) < _SAME_ANGLE_RAD))
        if still and orbit.steady:
            found.append(f"{still} views have the angle of the view before them")
    return found
