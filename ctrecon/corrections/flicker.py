"""Level the views by the air at both ends of the detector.

A beam that flickers or drifts moves all rays of a view alike: air at both ends of the detector shows by how much.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ctrecon.errors import InputError, SettingError
from ctrecon.measurement.scan import Scan

PLACE = 50
"""Where among the corrections it is applied."""

# Air may differ from 0 by this share of the largest line integral.
_AIR = 0.1
# A change smaller than so many of its own standard errors is noise.
_SURE = 2.0


def flicker(scan: Scan, *, cells: float = 4) -> Scan:
    """The scan with each view's line integrals less their mean over ``cells`` at both ends.

    The variance grows by that of the mean. Where the views' means differ by no more than noise, nothing is changed.

    Args:
        scan: Whose object leaves air at both ends in every view.
        cells: How many at either end, at least 1.

    Raises:
        SettingError: For fewer than one cell.
        InputError: Where there is no air at the ends.
    """
    n = int(cells)
    if n < 1 or 2 * n >= scan.sinogram.shape[-1]:
        raise SettingError(f"flicker:cells must be from 1 to less than half of the detector, got {cells:g}")
    f = scan.sinogram.astype(np.float64)
    ends = np.concatenate([f[..., :n], f[..., -n:]], axis=-1)
    level = ends.mean(axis=-1, keepdims=True)
    away = np.abs(ends.mean(axis=tuple(range(ends.ndim - 1))))
    if float(away.max()) > _AIR * float(np.quantile(f, 0.999)):
        raise InputError(
            f"{scan.source}: no air at both ends of the detector (mean line integral {float(away.max()):.3g}), so "
            "flicker cannot be told from the object; drop that correction, or give fewer cells"
        )
    error = ends.var(axis=-1, ddof=1).mean() / ends.shape[-1] if n > 1 else 0.0
    if float(np.median(level**2)) <= _SURE**2 * error:
        return scan
    variance = scan.variance
    if variance is not None:
        beside = np.concatenate([variance[..., :n], variance[..., -n:]], axis=-1)
        variance = (variance + beside.mean(axis=-1, keepdims=True) / (2 * n)).astype(variance.dtype)
    return replace(scan, sinogram=(f - level).astype(scan.sinogram.dtype), variance=variance)
