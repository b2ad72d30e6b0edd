"""Values of so few bits that what lies between them is lost."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.scan import Scan

PLACE = 270
SPEAKS = True

# Steps of a hundredth of the range are as large as the noise of a poor scan; so many rays could show more of them.
_FEW, _RAYS = 100, 2000


def few_values(scan: Scan) -> Iterator[Suggestion]:
    """Named alone: what was rounded off cannot be had back."""
    f = scan.sinogram
    if f.size < _RAYS or scan.counts is not None:
        return
    different = np.unique(f).size
    if not 2 < different <= _FEW:
        return
    yield Suggestion(
        cause="few-values", words="the values were rounded to few bits, and what lies between them is lost", scan=None,
        evidence=f"{f.size} rays hold {different} different values, {float(np.ptp(f)) / (different - 1):.3g} apart",
        last=True,
    )  # fmt: skip
