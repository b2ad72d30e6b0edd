"""Leave out cells that are dead, hot or far noisier than all others.

Cells that are dead, hot or far noisier than all others, found in the line integrals themselves.

What a cell measures lies near its neighbours in most views; where it does not in half of all views, the cell is at
fault. A gain that is off by some per cent is a stripe (``rings.py``), not a fault of this size.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import median_filter

from ctrecon.errors import SettingError
from ctrecon.measurement.scan import Scan

PLACE = 20
"""Where among the corrections it is applied."""

# Median over the views of the deviation, in units of what is usual among the cells, and of the data's largest value.
_TIMES, _LEAST = 10.0, 0.05
_CELLS = 7


def dead(scan: Scan, *, times: float = _TIMES) -> Scan:
    """The scan without cells that stray ``times`` as far from their neighbours as is usual, and by 5% of the data.

    Args:
        scan: What was measured.
        times: How far out a cell must be, > 0.

    Raises:
        SettingError: For another number.
    """
    if not times > 0:
        raise SettingError(f"dead:times must be > 0, got {times:g}")
    f = scan.sinogram.astype(np.float64)
    size = (1,) * (f.ndim - 1) + (_CELLS,)
    away = np.median(np.abs(f - median_filter(f, size, mode="mirror")), axis=0)
    usual = max(float(np.median(away)), 1e-12)
    scale = float(np.quantile(np.abs(f), 0.99))
    bad = (away > times * usual) & (away > _LEAST * scale)
    if not bad.any():
        return scan
    mask = np.broadcast_to(~bad, f.shape)
    return scan.without(np.ascontiguousarray(mask), "dead, hot or noisy")
