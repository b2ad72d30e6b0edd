"""Angles over another arc than stated, by any factor: gradians for degrees, a gear, a scan that was cut off early."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from ctrecon.diagnosis.causes.angle_range import FEWEST_ANGLES
from ctrecon.diagnosis.fit import quick_fit
from ctrecon.diagnosis.suggestion import Suggestion, with_geometry
from ctrecon.diagnosis.turned import fit_of_all_views, turned_rad, with_angles
from ctrecon.errors import CtreconError
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Float64Array

PLACE = 48

# Half and double are others' matter; a wrong factor leaves more within so much of the right one.
_LEAST, _MOST, _TRIED, _ROUNDS, _SETTLED = 0.7, 1.45, 15, 8, 2e-4
# Over more turns a factor scatters the views over the circle, and what fits best says nothing of it.
_LONGEST_RAD = 6 * math.pi
# How the corrections fall at least, and how many of one are gone at most.
_FALLING, _FARTHEST = 0.98, 4.0
# The least that is called a factor, and how near the end of the arc is to one that has a name.
_OFF, _NEAR = 0.004, 0.003
# How far to either side of the stated arc it is looked whether less is left, and what must go, of its square: in 12
# honest scans (six families, two beams, noise of 0.1% to 3%) more was left there, up to 33%.
_BESIDE, _GONE = 0.02, 0.015
_NAMED = {0.9: ", as gradians taken for degrees", 1 / 0.9: ", as degrees taken for gradians"}


def angle_stretch(scan: Scan) -> Iterator[Suggestion]:
    """The angles stretched about the first one by the factor that fits best."""
    angles = getattr(scan.geometry, "angles_rad", None)
    if angles is None or scan.sinogram.ndim != 2 or len(angles) < FEWEST_ANGLES:
        return
    stated = np.asarray(angles, dtype=np.float64)
    if not 0 < float(np.ptp(stated)) <= _LONGEST_RAD:
        return
    try:
        best = _refined(scan, stated, _sought(scan, stated))
    except CtreconError:
        return
    if best is None or abs(best - 1) < _OFF or not _LEAST < best < _MOST:
        yield from _a_little_off(scan, stated)
        return
    named = next((words for factor, words in _NAMED.items() if abs(best / factor - 1) < _NEAR), "")
    arc = math.degrees(abs(float(stated[-1] - stated[0]))) * len(stated) / (len(stated) - 1)
    yield Suggestion(
        cause="angles-stretched", scan=_stretched(scan, stated, best),
        words=f"the views cover {best:.4g} times the arc that is stated, {best * arc:.4g} degrees of {arc:.4g}{named}",
    )  # fmt: skip


def _a_little_off(scan: Scan, stated: Float64Array) -> Iterator[Suggestion]:
    """A few hundredths over half a turn, which an image follows, but for little that is beyond chance all the same."""
    best, whole = 1.0, _left(scan, stated, 1.0)
    for beside in (_BESIDE, _BESIDE / 2):
        less, more = (_left(scan, stated, best * (1 + by)) for by in (-beside, beside))
        here = whole if best == 1 else _left(scan, stated, best)
        bend = less - 2 * here + more
        if not 0 < bend < math.inf:
            return
        # What a parabola through the three promises: of an arc that is right, nothing.
        if best == 1 and (less - more) ** 2 / (8 * bend) < _GONE / 2 * whole:
            return
        best *= 1 + beside * min(max((less - more) / (2 * bend), -1.5), 1.5)
    gone = 1 - _left(scan, stated, best) / whole if whole > 0 else 0.0
    if gone < _GONE or abs(best - 1) < _OFF:
        return
    yield Suggestion(
        cause="angles-stretched", scan=_stretched(scan, stated, best), certain=True, last=True,
        words=f"the views cover about {best:.3g} times the arc that is stated",
        evidence=f"with it {gone:.1%} less of the square of the misfit is left; of angles that are right it is more",
    )  # fmt: skip


def _left(scan: Scan, stated: Float64Array, factor: float) -> float:
    moved = _stretched(scan, stated, factor)
    return math.inf if moved is None else fit_of_all_views(moved).share ** 2


def _stretched(scan: Scan, stated: Float64Array, factor: float) -> Scan | None:
    moved = with_geometry(scan, with_angles(scan.geometry, stated[0] + factor * (stated - stated[0])))
    return None if moved is None else dataclasses.replace(moved, grid=scan.grid, image_shape=scan.image_shape)


def _sought(scan: Scan, stated: Float64Array) -> float:
    """The factor that explains most, of a few; the stated one comes first, for most others soon fall behind it."""
    best, least = 1.0, quick_fit(scan)
    for factor in np.geomspace(_LEAST, _MOST, _TRIED):
        moved = _stretched(scan, stated, float(factor))
        found = None if moved is None else quick_fit(moved, least)
        if found is not None and found.share < least.share:
            best, least = float(factor), found
    return best


def _refined(scan: Scan, stated: Float64Array, factor: float) -> float | None:
    """By how the views stand turned, more so the further they are from the first; None where that leads nowhere.

    Each correction of a true factor is about three quarters of the last, so that two say where they lead (Aitken).
    """
    last: float | None = None
    for _ in range(_ROUNDS):
        moved = _stretched(scan, stated, factor)
        if moved is None:
            return None
        found = fit_of_all_views(moved)
        away = stated[found.views] - float(stated[found.views].mean())
        by = float((turned_rad(found) * away).sum() / (away**2).sum())
        if abs(by) < _SETTLED:
            return factor + by
        if last is None:
            factor, last = factor + by, by
        elif abs(by) < _FALLING * abs(last):
            factor, last = factor + by * min(1 / (1 - by / last), _FARTHEST), None
        else:
            return None
    return factor
