"""An arc that was left out between two views, while the angles go on in even steps."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ctrecon.diagnosis.fit import fit
from ctrecon.diagnosis.suggestion import Suggestion, changed, with_geometry
from ctrecon.errors import CtreconError
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Float64Array

PLACE = 50
SPEAKS = True

_FEWEST, _EVEN = 24, 0.02
# A step stands out if a view changes by so many times what most do, and by so much more than the next largest change.
_TIMES, _ABOVE = 2.0, 1.3
# Of the views at most so many were left out.
_MOST = 0.5


def angle_gap(scan: Scan) -> Iterator[Suggestion]:
    """The angles with a gap where one view changes far more than the others, as wide as fits best."""
    angles = getattr(scan.geometry, "angles_rad", None)
    if angles is None or scan.sinogram.ndim != 2 or len(angles) < _FEWEST:
        return
    a = np.asarray(angles, dtype=np.float64)
    steps = np.diff(a)
    step = float(steps.mean())
    if step == 0 or np.abs(steps - step).max() > _EVEN * abs(step):
        return
    changes = np.linalg.norm(np.diff(scan.sinogram.astype(np.float64), axis=0), axis=1)
    order = np.argsort(changes)
    at, usual = int(order[-1]), float(np.median(changes))
    if usual == 0 or changes[at] < max(_TIMES * usual, _ABOVE * changes[order[-2]]):
        return
    count = len(a)
    for kept, words in ((True, "the arc is as stated"), (False, "the steps are as stated, and the arc is longer")):
        missing = _widest(scan, a, at, kept)
        if missing:
            gap = _with_gap(a, at, missing, kept)
            degrees = math.degrees(abs(float(gap[at + 1] - gap[at])))
            yield Suggestion(
                cause="angles-left-out",
                scan=with_geometry(scan, changed(scan.geometry, angles_rad=tuple(gap))),
                words=f"about {missing} views were left out after view {at}, a gap of {degrees:.0f} degrees ({words})",
                evidence=f"view {at + 1} of {count} changes {changes[at] / usual:.1f} times as much as usual, as it "
                "would had something moved then",
            )


def _with_gap(angles: Float64Array, at: int, missing: int, kept: bool) -> Float64Array:
    """Even angles with ``missing`` more steps after view ``at``; over the same turn in all, or with the same steps."""
    places = np.arange(len(angles), dtype=np.float64)
    places[at + 1 :] += missing
    step = float(np.diff(angles).mean())
    stretch = len(angles) / (len(angles) + missing) if kept else 1.0
    return np.asarray(angles[0] + places * step * stretch)


def _widest(scan: Scan, angles: Float64Array, at: int, kept: bool) -> int:
    """How many views were left out, by the fit: steps that double, then halve; 0 where none fits better."""
    known: dict[int, float] = {}

    def share(missing: int) -> float:
        if missing not in known:
            gap = with_geometry(scan, changed(scan.geometry, angles_rad=tuple(_with_gap(angles, at, missing, kept))))
            try:
                if gap is None:
                    raise CtreconError("no such angles")
                known[missing] = fit(gap, side=48, cells=64, most_views=48, steps=10).share
            except CtreconError:
                known[missing] = math.inf
        return known[missing]

    most = int(_MOST * len(angles))
    tried = sorted({0, 1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 90, 128} & set(range(most + 1)))
    best = min(tried, key=share)
    width = max(1, best // 4)
    while width:
        better = min((max(best - width, 0), best, min(best + width, most)), key=share)
        best, width = (better, width) if better != best else (best, width // 2)
    return best
