"""Reading along a line of numbers at even steps: the innermost loop of what projects through columns of voxels; and
its transpose.
"""

from __future__ import annotations

import numba
import numpy as np

from ctrecon.support.arrays import Array

_FAST = {"nsz", "contract", "reassoc"}


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def read_line(out: Array, line: Array, x: float, step: float) -> None:
    """``out[r] += line(x + r step)``, linear between neighbours; every place has two. ``x`` >= 0 counts entries."""
    one = np.uint64(1)
    for r in range(out.size):
        at = x + step * np.float32(r)
        whole = np.int32(at)
        f = at - np.float32(whole)
        k = np.uint64(np.uint32(whole))
        out[r] += line[k] + f * (line[k + one] - line[k])


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def add_to_line(line: Array, values: Array, x: float, step: float) -> None:
    """The transpose of ``read_line``: adds each of ``values`` to the two entries beside its place."""
    for r in range(values.size):
        at = x + step * np.float32(r)
        k = np.int32(at)
        f = at - np.float32(k)
        line[k] += (1 - f) * values[r]
        line[k + 1] += f * values[r]
