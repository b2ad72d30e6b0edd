"""The loops of ``fbp_flat.py``, compiled by numba when first needed."""

from __future__ import annotations

import numba
import numpy as np

from ctrecon.operators.lane_instructions import gather_add
from ctrecon.support.arrays import Array

# The kernels never see a NaN in a position, and the order in which views are added is free.
_FAST = {"nnan", "nsz", "contract", "reassoc", "arcp"}


@numba.njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")
def back_project(
    filtered: Array, first: Array, numerator: Array, denominator: Array, x: Array, y: Array, out: Array,
    r0: int, r1: int,
) -> None:
    """``out[r, c] = sum_v q_v(t) / U^2`` with cell ``t = numerator . (1, x, y) / U``, ``U = denominator . (1, x, y)``.

    ``filtered`` is flat; view ``v`` begins at ``first[v]``, with one zero cell before and two after.
    The inner loop runs over views, because only a sum that writes nothing is turned into vector instructions.
    """
    views = first.size
    last = np.float32(filtered.size // views - 2)
    one, zero = np.float32(1.0), np.float32(0.0)
    n, nx, ny = numerator[0], numerator[1], numerator[2]
    d, dx, dy = denominator[0], denominator[1], denominator[2]
    for r in range(r0, r1):
        for c in range(x.size):
            total = zero
            for v in range(views):
                u = one / (d[v] + dx[v] * x[c] + dy[v] * y[r])
                t = (n[v] + nx[v] * x[c] + ny[v] * y[r]) * u + one
                t = min(max(t, zero), last)
                k = np.int32(t)
                w = t - np.float32(k)
                at = np.uint32(first[v] + k)
                low, high = filtered[at], filtered[at + np.uint32(1)]
                total += u * u * (low + w * (high - low))
            out[r, c] = total


@numba.njit(nogil=True, cache=True, fastmath=_FAST, error_model="numpy")
def _cells(
    first: int, n: float, nx: float, d: float, dx: float, last: float, x: Array, at: Array, low: Array, high: Array
) -> None:
    """For one view and one image row: the cell beside each pixel, and what it and the next one count."""
    one, zero = np.float32(1.0), np.float32(0.0)
    for c in range(x.size):
        u = one / (d + dx * x[c])
        t = (n + nx * x[c]) * u + one
        t = min(max(t, zero), last)
        k = np.int32(t)
        w = (t - np.float32(k)) * u * u
        at[c] = first + k
        high[c] = w
        low[c] = u * u - w


@numba.njit(nogil=True, cache=True)
def back_project_lanes(
    filtered: Array, first: Array, numerator: Array, denominator: Array, x: Array, y: Array, out: Array,
    lanes: tuple[int, ...], r0: int, r1: int,
) -> None:
    """The same for the images of a batch at once: ``filtered[cell, lane]``, ``out[row, column, lane]``."""
    n, d, views, columns = numerator, denominator, first.size, x.size
    last = np.float32(filtered.shape[0] // views - 2)
    # Two views in one go, so that a pixel is read and written once for both; an odd last one is paired with nothing.
    at = np.empty((2, columns), np.int32)
    low, high = np.empty((2, columns), np.float32), np.empty((2, columns), np.float32)
    for r in range(r0, r1):
        line = out[r]
        for v in range(0, views, 2):
            for j in range(2):
                if v + j < views:
                    _cells(
                        first[v + j], n[0, v + j] + n[2, v + j] * y[r], n[1, v + j],
                        d[0, v + j] + d[2, v + j] * y[r], d[1, v + j], last, x, at[j], low[j], high[j],
                    )
                else:
                    at[j], low[j], high[j] = 0, 0, 0
            for c in range(columns):
                where = (at[0, c], at[1, c])
                gather_add(line, c, filtered, where, (low[0, c], low[1, c]), (high[0, c], high[1, c]), lanes)
