"""Views that hold as much below zero as above: the ramp of a filtered back-projection was applied to them already."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.scan import Scan

PLACE = 120
SPEAKS = True

# What is left of a view's sum, as a share of that of its sizes, and how alike neighbouring views must be.
_LEFT, _ALIKE = 0.35, 0.5


def filtered(scan: Scan) -> Iterator[Suggestion]:
    """Line integrals of what absorbs are above zero; filtered ones add up to nearly nothing."""
    f = scan.sinogram.astype(np.float64)
    if f.ndim != 2 or f.shape[0] < 2 or scan.mask is not None:
        return
    sizes = np.abs(f).sum(axis=1)
    power = float((f**2).sum())
    if not (sizes > 0).all() or power == 0 or float((f[1:] * f[:-1]).sum()) < _ALIKE * power:
        return
    left = float(np.median(np.abs(f.sum(axis=1)) / sizes))
    if left < _LEFT:
        yield Suggestion(
            cause="filtered", scan=None, certain=True,
            words="these are no line integrals: the views were filtered already, or differentiated",
            evidence=f"a view's sum is {left:.1%} of that of its sizes",
        )  # fmt: skip
