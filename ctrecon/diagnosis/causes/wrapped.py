"""Values that ran over the largest whole number of their type and began again at zero."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.scan import Scan

PLACE = 110
SPEAKS = True

# From one cell to the next nothing real falls or rises by so much of the whole range, in so many rays of all.
_JUMP, _FEWEST, _ENDS = 0.6, 0.003, 3


def wrapped(scan: Scan) -> Iterator[Suggestion]:
    """The values with the range added again wherever they jump by most of it."""
    f = scan.sinogram.astype(np.float64)
    span = float(np.ptp(f))
    if f.ndim != 2 or span == 0:
        return
    jumps = int((np.abs(np.diff(f, axis=1)) > _JUMP * span).sum())
    if jumps < max(2, _FEWEST * f.size):
        return
    # The step between neighbouring numbers is not known, and small beside the range.
    mended = np.unwrap(f, period=span, axis=1)
    # Also air may have begun again, below zero by its noise: what is nearest to zero beside the object is meant.
    ends = np.median(np.concatenate([mended[:, :_ENDS], mended[:, -_ENDS:]], axis=1), axis=1, keepdims=True)
    mended = (mended - span * np.round(ends / span)).astype(scan.sinogram.dtype)
    yield Suggestion(
        cause="wrapped", words=f"values beyond {f.max():.4g} began again at {f.min():.4g} (a type of too few bits)",
        scan=dataclasses.replace(scan, sinogram=mended), evidence=f"{jumps} jumps of most of the range",
    )  # fmt: skip
