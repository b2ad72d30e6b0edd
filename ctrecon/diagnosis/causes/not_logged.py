"""Data that are not line integrals: counts or transmitted shares whose logarithm was never taken, or a wrong sign."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from ctrecon.diagnosis.suggestion import Suggestion
from ctrecon.measurement.scan import Scan
from ctrecon.support.arrays import Array

PLACE = 90
SPEAKS = True

# Beside the object shares read about 1, and counts more than the other.
_SHARES, _COUNTS = 2.0, 20.0


def not_logged(scan: Scan) -> Iterator[Suggestion]:
    """Line integrals are smallest beside the object; counts are largest there."""
    f = scan.sinogram
    beside = float(np.median(np.concatenate([f[:, :2], f[:, -2:]], axis=1)))
    inside = float(np.median(f[:, f.shape[1] // 2 - 2 : f.shape[1] // 2 + 3]))
    if beside <= inside or scan.counts is not None:
        return
    seen = f"values beside the object, about {beside:.4g}, are above those through it, about {inside:.4g}"
    if float(f.mean()) > 0 and _SHARES < beside < _COUNTS:
        # The logarithm of line integrals is steep where these are small; so few counts are no scan's. The fit decides.
        yield Suggestion(
            cause="logged-twice", words="the logarithm was taken twice: of line integrals", evidence=seen, certain=True,
            scan=_without_variance(scan, np.exp(-f.astype(np.float64))),
        )  # fmt: skip
    if float(np.quantile(f, 0.02)) >= 0:
        what = "transmitted shares I/I0" if beside < _SHARES else "counts"
        yield Suggestion(
            cause="not-logged", words=f"the data are {what} whose logarithm was never taken",
            scan=_without_variance(scan, _logged(f, beside)), evidence=seen, certain=True,
        )  # fmt: skip
    elif inside < 0 and float(f.mean()) < 0:
        yield Suggestion(
            cause="sign", words="the line integrals have the wrong sign", scan=_without_variance(scan, -f),
            evidence=seen, certain=True,
        )  # fmt: skip


def _logged(f: Array, beside: float) -> Array:
    smallest = float(f[f > 0].min()) if bool((f > 0).any()) else 1.0
    logged: Array = -np.log(np.maximum(f.astype(np.float64), smallest) / beside)
    return logged


def _without_variance(scan: Scan, values: Array) -> Scan:
    fresh: dict[str, Any] = {"variance": None, "whitened_mean": 1.0, "whitened_spread": 1.0}
    return dataclasses.replace(scan, sinogram=np.ascontiguousarray(values.astype(scan.sinogram.dtype)), **fresh)
