"""The right kind of scan over the wrong arc: half for whole, or an end that was counted twice or not at all.

Angles by NumPy's or MATLAB's ``linspace`` from 0 to a turn have both ends, which are one; a scanner seldom measures
there twice. Then the first and the last view are stated to be the same, and differ as much as any two neighbours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from ctrecon.diagnosis.suggestion import Suggestion, changed, with_geometry
from ctrecon.measurement.scan import Scan

_FEWEST = 3
# The ends meet within this share of a step.
_MEET = 0.05
# Two views at one angle change by less than this share of what neighbours do; where both are noise, the fit decides.
_SAME = 0.6


def ends_meet(scan: Scan) -> Iterator[Suggestion]:
    """The angles without the end that is stated twice, where the views there are not the same."""
    angles = getattr(scan.geometry, "angles_rad", None)
    if angles is None or scan.sinogram.ndim != 2 or len(angles) < _FEWEST:
        return
    count, span = len(angles), angles[-1] - angles[0]
    if abs(abs(span) - 2 * math.pi) > _MEET * 2 * math.pi / count:
        return
    f = scan.sinogram.astype(np.float64)
    beside = float(((f[1] - f[0]) ** 2).mean() + ((f[-1] - f[-2]) ** 2).mean()) / 2
    if float(((f[-1] - f[0]) ** 2).mean()) < _SAME * beside:
        return
    yield from _stretched(scan, "angles-end-included")


def angle_range(scan: Scan) -> Iterator[Suggestion]:
    """The angles stretched about the first one."""
    angles = getattr(scan.geometry, "angles_rad", None)
    if angles is None or len(angles) < _FEWEST:
        return
    for cause in _STRETCHES:
        yield from _stretched(scan, cause)


_STRETCHES: dict[str, tuple[Callable[[int], float], str]] = {
    "angles-half": (lambda count: 0.5, "the views cover half the arc that is stated"),
    "angles-double": (lambda count: 2.0, "the views cover twice the arc that is stated"),
    "angles-end-included": (
        lambda count: (count - 1) / count, "the last view does not stand where the first one would again"
    ),
    "angles-end-left-out": (
        lambda count: count / (count - 1), "the last view stands at the end of the arc, not one step before"
    ),
}  # fmt: skip


def _stretched(scan: Scan, cause: str) -> Iterator[Suggestion]:
    angles = scan.geometry.angles_rad  # type: ignore[union-attr]
    factor, words = _STRETCHES[cause]
    times = factor(len(angles))
    stretched = tuple(angles[0] + times * (angle - angles[0]) for angle in angles)
    yield Suggestion(cause=cause, words=words, scan=with_geometry(scan, changed(scan.geometry, angles_rad=stretched)))
