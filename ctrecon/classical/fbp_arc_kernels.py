"""The loop of ``fbp_arc.py``, compiled by numba when first needed."""

from __future__ import annotations

import numba
import numpy as np

from ctrecon.support.arrays import Array


@numba.njit(nogil=True, cache=True, fastmath={"nnan", "nsz", "contract", "reassoc", "arcp"}, error_model="numpy")
def back_project(
    filtered: Array, table: Array, reach: float, scale: float, first: float, x: Array, y: Array, out: Array,
    r0: int, r1: int,
) -> None:
    """``out[r, c] = sum_v q_v(t) (R / L)^2`` for the rows ``r0..r1``.

    ``table[:, v]``: cosine and sine of the view, its true source, and how far that stands from the nominal one along
    the detector's axis and the central ray. ``filtered[v]`` has one zero cell before and two after.
    """
    last = np.float32(filtered.shape[1] - 2)
    zero, one, radius = np.float32(0.0), np.float32(1.0), np.float32(reach)
    for r in range(r0, r1):
        for c in range(x.size):
            out[r, c] = zero
    for v in range(filtered.shape[0]):
        cos, sin, sx, sy = table[0, v], table[1, v], table[2, v], table[3, v]
        across, along, square, line = table[4, v], table[5, v], table[6, v], filtered[v]
        for r in range(r0, r1):
            for c in range(x.size):
                dx, dy = x[c] - sx, y[r] - sy
                a, b = dx * cos + dy * sin, dy * cos - dx * sin
                inverse = one / (a * a + b * b)
                root = np.sqrt(inverse)
                a, b = a * root, b * root
                # Where the ray from the true source meets the arc about the nominal one: |d + far u| = radius.
                inner = across * a + along * b
                far = np.sqrt(radius * radius - square + inner * inner) - inner
                t = np.float32(scale) * np.arctan((across + far * a) / (along + far * b)) + np.float32(first)
                t = min(max(t, zero), last)
                k = np.int32(t)
                low = line[k]
                out[r, c] += inverse * (low + (t - np.float32(k)) * (line[k + 1] - low))
