"""Whether a scan deserves a diagnosis although an image meets delta: cheap signs, looked at in every reconstruction."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from ctrecon.diagnosis.causes import SPEAKING
from ctrecon.diagnosis.coarse import coarse_fit, explains_more
from ctrecon.diagnosis.diagnose import Diagnosis, diagnose
from ctrecon.diagnosis.fit import Fit
from ctrecon.diagnosis.middle_row import MiddleRow
from ctrecon.diagnosis.noise import noise_share
from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.errors import CtreconError
from ctrecon.measurement.center import axis_column, estimate_center
from ctrecon.measurement.scan import Scan

DOUBT = "doubt: "
"""How the note begins that says so, in history, report and series."""

# Of a right scan a coarse image leaves what noise there is, and a little for its coarse pixels.
_TIMES, _COARSE = 1.2, 0.006
# What is mended must leave less than this share of the misfit.
_MENDED = 0.88
# Views that scatter by more than this in scale, and by so many times what the misfit makes them scatter, are uneven.
_UNEVEN, _UNEVEN_TIMES = 0.004, 2.0
# In cells. The axis is found to about a tenth where the data show it at all.
_OFF_AXIS = 0.3


def doubts_about(scan: Scan, *, met: bool, sign: Callable[[], bool] | None = None) -> Diagnosis | None:
    """What seems wrong with a scan, where something does.

    Args:
        scan: As it was reconstructed.
        met: Whether an image meets delta. If not, every cause is tried.
        sign: What says whether the scan shows a sign, where that was looked for already, as ``a_sign`` does.

    Returns:
        The diagnosis, with findings; None without a sign of any, or where no diagnosis can be made.
    """
    try:
        if met and not (a_sign(scan) if sign is None else sign()):
            return None
        found = diagnose(scan)
    except CtreconError:
        return None  # a matrix, a source that climbs: nothing can be tried on these
    return found if found.findings else None


def a_sign(scan: Scan, wanted: Callable[[], bool] = lambda: True) -> bool:
    """Whether a scan shows a sign, cheap to see, that something may be wrong.

    Args:
        scan: In the plane, or in space: then its middle row is looked at.
        wanted: Asked between one sign and the next whether to go on.

    Returns:
        False where none was seen until it was not ``wanted`` any more.

    Raises:
        InputError: Where no coarse image can be fitted to it.
    """
    if scan.sinogram.ndim != 2:
        scan = MiddleRow.of(scan).scan
    # Not by delta: a wrong geometry passes for noise, and then any image meets delta.
    found = coarse_fit(scan)
    return (
        found.share > _TIMES * noise_share(scan, found.block) + _COARSE
        or _uneven(found)
        or _off_axis(scan)
        or any(
            _worth_it(suggestion, found) for cause in SPEAKING if wanted() for suggestion in cause(scan)
        )
    )


def _uneven(found: Fit) -> bool:
    # A gain of 2% from view to view is less than the limit above allows, and any image meets the delta made of it.
    scatter = float(np.std(found.factors()))
    return scatter > max(_UNEVEN, _UNEVEN_TIMES * found.share / math.sqrt(found.data.shape[1]))


def _worth_it(suggestion: Suggestion, found: Fit) -> bool:
    # A ray or two that stand out by chance are no reason to try all that could be wrong.
    if suggestion.scan is None or suggestion.certain:
        return True
    return explains_more(suggestion.scan, found, _MENDED)


def _off_axis(scan: Scan) -> bool:
    orbit = None if scan.geometry is None else scan.geometry.orbit
    if scan.geometry is None or orbit is None or not orbit.steady:
        return False
    stated = (scan.sinogram.shape[1] - 1) / 2 - orbit.detector_offset_mm / scan.geometry.detector_spacing_mm
    try:
        if abs(axis_column(scan.sinogram, scan.geometry) - stated) <= _OFF_AXIS:
            return False  # most scans: how sure that is takes twice as long
        found = estimate_center(scan.sinogram, scan.geometry)
    except CtreconError:
        return False
    return bool(abs(found.column - stated) > (found.high - found.low) / 2)
