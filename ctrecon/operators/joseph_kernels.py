"""The loops of ``joseph.py``, compiled by numba when first needed: rays over the lines of an image."""

from __future__ import annotations

import numba
import numpy as np

from ctrecon.operators.footprint import BITS
from ctrecon.operators.lane_instructions import gather_add, pair_add, scatter_add
from ctrecon.operators.lanes import PAD
from ctrecon.support.arrays import Array

# Lines of a batch that stay in the processor's second cache together.
_BLOCK = 32
_BEHIND = BITS - 32  # of the bits behind the point, 32 become the weight
# No NaN arises, and a sum's order is free; so the loops become vector instructions.
_FAST = {"nsz", "contract", "reassoc"}


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def project(
    by_row: Array, rows: Array, columns: Array, widths: tuple[int, int], start: Array, slope: Array,
    enter: Array, leave: Array, out: Array, r0: int, r1: int,
) -> None:
    """Sums along the rays ``r0..r1`` of one image, given flat, padded, as it is and transposed.

    The position counts pixels from the image's first on, lines included, so that one addition moves to the next line.
    """
    unit, one = rows.dtype.type(2.0**-32), np.uint64(1)
    for ray in range(r0, r1):
        lines, width = (rows, widths[0]) if by_row[ray] else (columns, widths[1])
        line = enter[ray]
        x = np.uint64(start[ray] + slope[ray] * line + ((line * width + PAD) << BITS))
        step = np.uint64(slope[ray] + (width << BITS))
        total = unit - unit
        for _ in range(leave[ray] - line):
            at = x >> np.uint64(BITS)
            weight = rows.dtype.type(np.uint32(x >> np.uint64(_BEHIND))) * unit
            low, high = lines[at], lines[at + one]
            total += low + weight * (high - low)
            x += step
        out[ray] = total


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def back_project(
    by_row: Array, rows: Array, columns: Array, widths: tuple[int, int], start: Array, slope: Array,
    enter: Array, leave: Array, sinogram: Array, l0: int, l1: int,
) -> None:
    """The transpose of ``project``, onto the lines ``l0..l1`` only: a thread owns its lines."""
    unit = rows.dtype.type(2.0**-32)
    for ray in range(start.size):
        lines, width = (rows, widths[0]) if by_row[ray] else (columns, widths[1])
        line = max(enter[ray], l0)
        x = np.uint64(start[ray] + slope[ray] * line + ((line * width + PAD) << BITS))
        step = np.uint64(slope[ray] + (width << BITS))
        value = sinogram[ray]
        part = value * unit
        for _ in range(min(leave[ray], l1) - line):
            at = x >> np.uint64(BITS)
            upper = rows.dtype.type(np.uint32(x >> np.uint64(_BEHIND))) * part
            pair_add(lines, at, value - upper, upper)
            x += step


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def _crossings(
    start: Array, slope: Array, line: int, last: int, pixels: int, width: int, at: Array, low: Array, high: Array
) -> None:
    """Where the rays of a view cross a line: the pixel in an image of lanes, and the two weights.

    Rays outside, and lines from ``last`` on, get pixel 0, which belongs to the zeros around the image, and weights 0.
    """
    unit, one, zero = low.dtype.type(2.0**-32), low.dtype.type(1), low.dtype.type(0)
    for i in range(start.size):
        x = start[i] + slope[i] * line
        k = x >> BITS
        inside = (k >= -1) & (k < pixels) & (line < last)
        weight = low.dtype.type(np.uint32(x >> _BEHIND)) * unit
        at[i] = np.int32(line * width + PAD + k) if inside else np.int32(0)
        high[i] = weight if inside else zero
        low[i] = one - weight if inside else zero


@numba.njit(nogil=True, cache=True)
def project_lanes(
    image: Array, first: Array, last: Array, start: Array, slope: Array, out: Array, lanes: tuple[int, ...],
    v0: int, v1: int,
) -> None:
    """``project`` for a batch, ``image[line, pixel, lane]``, adding to ``out[view, detector, lane]``.

    ``first`` and ``last`` are the runs of rays in each view that march along these lines. Two lines in one go, so
    that a ray's sum is read and written once for both.
    """
    count, width, cells = image.shape[0], image.shape[1], start.shape[1]
    flat = image.reshape(count * width, image.shape[2])
    at, low, high = np.empty((2, cells), np.int32), np.empty((2, cells), image.dtype), np.empty((2, cells), image.dtype)
    for block in range(0, count, _BLOCK):
        for v in range(v0, v1):
            view = out[v]
            for run in range(first.shape[1]):
                a, b = first[v, run], last[v, run]
                for line in range(block, min(block + _BLOCK, count) if a < b else block, 2):
                    for j in range(2):
                        _crossings(
                            start[v, a:b], slope[v, a:b], line + j, count, width - 2 * PAD, width,
                            at[j], low[j], high[j],
                        )
                    for i in range(b - a):
                        k = (at[0, i], at[1, i])
                        if k[0] | k[1]:
                            lower = (low[0, i], low[1, i])
                            upper = (high[0, i], high[1, i])
                            gather_add(view, a + i, flat, k, lower, upper, lanes)


@numba.njit(nogil=True, cache=True)
def back_project_lanes(
    image: Array, first: Array, last: Array, start: Array, slope: Array, sinogram: Array, lanes: tuple[int, ...],
    l0: int, l1: int,
) -> None:
    """The transpose of ``project_lanes``, onto the lines ``l0..l1``.

    Four lines in turn also because neighbouring rays add to the same pixels of a line, and adding takes its time.
    """
    width, cells = image.shape[1], start.shape[1]
    flat = image.reshape(image.shape[0] * width, image.shape[2])
    at, low, high = np.empty((4, cells), np.int32), np.empty((4, cells), image.dtype), np.empty((4, cells), image.dtype)
    for block in range(l0, l1, _BLOCK):
        for v in range(sinogram.shape[0]):
            view = sinogram[v]
            for run in range(first.shape[1]):
                a, b = first[v, run], last[v, run]
                for line in range(block, min(block + _BLOCK, l1) if a < b else block, 4):
                    for j in range(4):
                        _crossings(
                            start[v, a:b], slope[v, a:b], line + j, l1, width - 2 * PAD, width,
                            at[j], low[j], high[j],
                        )
                    for i in range(b - a):
                        k = (at[0, i], at[1, i], at[2, i], at[3, i])
                        if k[0] | k[1] | k[2] | k[3]:
                            lower = (low[0, i], low[1, i], low[2, i], low[3, i])
                            upper = (high[0, i], high[1, i], high[2, i], high[3, i])
                            scatter_add(flat, k, view, a + i, lower, upper, lanes)
