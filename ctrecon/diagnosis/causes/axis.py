"""The rotation axis projects elsewhere: a little off the stated cell, or, half a fan, near an end of the detector."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctrecon.diagnosis.fit import Fit, quick_fit
from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.errors import CtreconError
from ctrecon.measurement.center import estimate_center
from ctrecon.measurement.scan import Scan

PLACE = 250

_TRIED, _QUICK = 17, 7
# Up to so many cells half of a detector may stand beside the other by mounting, which shows as an axis half as far off.
_MODULE = 1.0
# Nearer to an end than this share of the detector, the axis leaves one side of the object unseen in every view.
_HALF_FAN = 0.2


def axis(scan: Scan) -> Iterator[Suggestion]:
    """Where conjugate rays agree, and where the fit is best over the whole detector."""
    cells = scan.sinogram.shape[1]
    if scan.geometry is None or cells < _TRIED:
        return
    found: list[float] = []
    try:
        found.append(estimate_center(scan.sinogram, scan.geometry).column)
    except CtreconError:
        pass  # no two ends of a ray, or nothing to see: the fit alone then
    best = best_column(scan)
    for column in found if best is None else [*found, best]:
        try:
            moved = scan.with_center(column)
        except CtreconError:
            return
        half = min(column, cells - 1 - column) < _HALF_FAN * cells
        yield Suggestion(
            cause="half-fan" if half else "axis",
            words=f"the rotation axis projects to column {column:.2f}"
            + (", near an end of the detector (half a fan)" if half else _or_half_a_detector(scan, moved)),
            scan=moved, fine=True,
        )  # fmt: skip


def _or_half_a_detector(scan: Scan, moved: Scan) -> str:
    """What shows alike: half a detector beside the other half. Both measure each line, from its two ends.

    An image then meets delta with the axis moved as without, though lines are measured beside where they are.
    """
    assert scan.geometry is not None
    assert moved.geometry is not None
    stated, found = scan.geometry.orbit, moved.geometry.orbit
    if stated is None or found is None:
        return ""
    off = abs(found.detector_offset_mm - stated.detector_offset_mm) / scan.geometry.detector_spacing_mm
    if off > _MODULE:
        return ""
    return f", or half of the detector stands {2 * off:.2f} cells beside the other half, which no axis mends"


def best_column(scan: Scan) -> float | None:
    """The column with the smallest coarse misfit, refined twice; None where the axis cannot be moved."""
    first, last = 0.0, scan.sinogram.shape[1] - 1.0
    best: float | None = None
    least: Fit | None = None
    for count in (_TRIED, _QUICK, _QUICK):
        for column in np.linspace(first, last, count):
            try:
                found = quick_fit(scan.with_center(float(column)), least)
            except CtreconError:
                return None
            if least is None or found.share < least.share:
                best, least = float(column), found
        step = (last - first) / (count - 1)
        assert best is not None
        first, last = max(0.0, best - step), min(scan.sinogram.shape[1] - 1.0, best + step)
    return best
