"""Values that are no more like those beside them than any others are: bytes in the wrong order, or another type."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Float64Array

PLACE = 275
SPEAKS = True

# The correlation of neighbours; scans of a hundred photons a ray have 0.44 and more.
_LEAST, _FEWEST = 0.25, 16


def no_likeness(scan: Scan) -> Iterator[Suggestion]:
    """Named alone: nothing is left to see what the values were."""
    if scan.sinogram.ndim != 2 or min(scan.sinogram.shape) < _FEWEST:
        return
    f = scan.sinogram.astype(np.float64)
    along = max(_alike(f[:, 1:], f[:, :-1]), _alike(f[1:], f[:-1]))
    if along < _LEAST:
        yield Suggestion(
            cause="no-likeness", scan=None, certain=True,
            words="the values are like noise (bytes in the wrong order, another type of number, or compressed data?)",
            evidence=f"neighbouring rays have a correlation of {along:.2f}; those of an object nearly 1",
        )  # fmt: skip


def _alike(one: Float64Array, other: Float64Array) -> float:
    a, b = one - one.mean(), other - other.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if size > 0 else 1.0
