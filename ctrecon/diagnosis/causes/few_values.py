"""Values of so few bits that what lies between them is lost."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Array

PLACE = 270
SPEAKS = True

# Steps of a hundredth of the range are as large as the noise of a poor scan; so many rays could show more of them.
_FEW, _RAYS = 100, 2000
# Even steps are those of a picture of 8 bits; counts of few photons have uneven ones after the logarithm.
_BYTE, _EVEN = 256, 0.02


def few_values(scan: Scan) -> Iterator[Suggestion]:
    """Named alone: what was rounded off cannot be had back."""
    f = scan.sinogram
    if f.size < _RAYS or scan.counts is not None:
        return
    if not np.ptp(f, axis=0).any():
        return  # every view is the same: a round object without noise has no more values than half a view has cells
    values = np.unique(f)
    different = values.size
    if not 2 < different <= _BYTE or (different > _FEW and not _in_even_steps(values)):
        return
    yield Suggestion(
        cause="few-values", words="the values were rounded to few bits, and what lies between them is lost", scan=None,
        evidence=f"{f.size} rays hold {different} different values, {float(np.ptp(f)) / (different - 1):.3g} apart",
        last=True,
    )  # fmt: skip


def _in_even_steps(values: Array) -> bool:
    steps = np.diff(values.astype(np.float64))
    whole = steps / float(np.median(steps))
    return bool((np.abs(whole - np.round(whole)) < _EVEN).all() and (np.round(whole) > 0).all())
