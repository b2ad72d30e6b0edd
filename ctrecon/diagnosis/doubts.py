"""Whether a scan deserves a diagnosis although an image meets delta: cheap signs, looked at in every reconstruction."""

from __future__ import annotations

from ctrecon.diagnosis.causes import SPEAKING
from ctrecon.diagnosis.diagnose import Diagnosis, diagnose
from ctrecon.diagnosis.fit import fit
from ctrecon.diagnosis.noise import noise_share
from ctrecon.errors import CtreconError
from ctrecon.measurement.center import estimate_center
from ctrecon.measurement.scan import Scan

DOUBT = "doubt: "
"""How the note begins that says so, in history, report and series."""

# Of a right scan a coarse image leaves what noise there is, and a little for its coarse pixels.
_TIMES, _COARSE = 1.2, 0.006
# In cells. The axis is found to about a tenth where the data show it at all.
_OFF_AXIS = 0.3


def doubts_about(scan: Scan, *, met: bool) -> Diagnosis | None:
    """What seems wrong with a scan, where something does.

    Args:
        scan: As it was reconstructed.
        met: Whether an image meets delta. If not, every cause is tried.

    Returns:
        The diagnosis, with findings; None without a sign of any, or where no diagnosis can be made.
    """
    try:
        if met and not _a_sign(scan):
            return None
        found = diagnose(scan)
    except CtreconError:
        return None  # a matrix, a geometry in space: nothing can be tried on these
    return found if found.findings else None


def _a_sign(scan: Scan) -> bool:
    # Not by delta: a wrong geometry passes for noise, and then any image meets delta.
    found = fit(scan, side=64, cells=96, most_views=45, uses="many")
    return (
        found.share > _TIMES * noise_share(scan, found.block) + _COARSE
        or _off_axis(scan)
        or any(True for cause in SPEAKING for _ in cause(scan))
    )


def _off_axis(scan: Scan) -> bool:
    orbit = None if scan.geometry is None else scan.geometry.orbit
    if scan.geometry is None or orbit is None or not orbit.steady:
        return False
    try:
        found = estimate_center(scan.sinogram, scan.geometry)
    except CtreconError:
        return False
    stated = (scan.sinogram.shape[1] - 1) / 2 - orbit.detector_offset_mm / scan.geometry.detector_spacing_mm
    return bool(abs(found.column - stated) > max(_OFF_AXIS, (found.high - found.low) / 2))
