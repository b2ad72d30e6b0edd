"""Air that does not read zero: the open beam was taken for stronger or weaker than it was."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.scan import Scan

PLACE = 100
SPEAKS = True

# Of the largest line integral: what is taken for zero, and what is no longer air.
_ZERO, _MOST = 0.02, 0.6
# In standard errors of a median over the views.
_SURE = 12.0
# The outermost cells at both ends must agree so well, and so must neighbours, as shares of the level.
_ALIKE, _ENDS = 0.35, 2


def air_level(scan: Scan) -> Iterator[Suggestion]:
    """The scan less what its air reads, where all views read the same beside the object, and not zero."""
    f = scan.sinogram
    if f.ndim != 2 or f.shape[1] < 8 * _ENDS or scan.counts is not None:
        return
    ends = np.stack([f[:, k] for k in (*range(_ENDS), *range(-_ENDS, 0))]).astype(np.float64)
    top = float(np.quantile(f, 0.99))
    levels = np.median(ends, axis=1)
    level = float(levels.mean())
    noise = 1.4826 * float(np.median(np.abs(ends - levels[:, None])))
    # Nothing but a wrong open beam brings air below 0, however far.
    most = math.inf if level < 0 else _MOST * (top - level)
    if not _ZERO * (top - level) < abs(level) < most or abs(level) < _SURE * 1.25 * noise / math.sqrt(f.shape[0]):
        return
    if float(np.ptp(levels)) > _ALIKE * abs(level):
        return
    off = math.expm1(level)
    mended = dataclasses.replace(scan, sinogram=f - f.dtype.type(level))
    words = f"the open beam was taken for {abs(off):.1%} {'stronger' if off > 0 else 'weaker'} than it was"
    if level < -(top - level):
        words = f"the logarithm was taken of counts that the open beam, {math.exp(-level):.3g}, did not divide"
    yield Suggestion(
        cause="air-level", words=words,
        scan=mended, certain=True, evidence=f"beside the object all views read about {level:.3g}, and air is 0",
    )  # fmt: skip
