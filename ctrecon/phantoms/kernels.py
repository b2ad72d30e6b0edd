"""What the shapes' compiled kernels share: filling pixels, and finding which lines of a view touch something."""

from __future__ import annotations

import math

import numba

from ctrecon.support.arrays import Array


@numba.njit(nogil=True, cache=True)
def sample_index(place: float, count: int) -> int:
    """The first of ``count`` samples ``0, 1, ..`` at or after ``place``."""
    return int(math.ceil(min(max(place, 0.0), count)))  # noqa: RUF046 (numba's ceil gives a float)


@numba.njit(nogil=True, cache=True)
def fill_span(row: Array, first: float, last: float, oversample: int, weight: float) -> None:
    """Add ``weight`` per sub-sample ``k`` with ``first <= k < last`` to the pixel ``k // oversample`` of ``row``."""
    begin, end = sample_index(first, row.size * oversample), sample_index(last, row.size * oversample)
    if begin >= end:
        return
    c0, c1 = begin // oversample, (end - 1) // oversample
    if c0 == c1:
        row[c0] += weight * (end - begin)
        return
    row[c0] += weight * ((c0 + 1) * oversample - begin)
    for c in range(c0 + 1, c1):
        row[c] += weight * oversample
    row[c1] += weight * (end - c1 * oversample)


@numba.njit(nogil=True, cache=True)
def rising(normal_x: Array, normal_y: Array, distance: Array, x: float, y: float) -> float:
    """1.0 if the lines of one view move with their index towards larger distance from ``(x, y)``, else -1.0."""
    last = distance.size - 1
    before = distance[0] - x * normal_x[0] - y * normal_y[0]
    after = distance[last] - x * normal_x[last] - y * normal_y[last]
    return 1.0 if after >= before else -1.0


@numba.njit(nogil=True, cache=True)
def first_beyond(
    normal_x: Array, normal_y: Array, distance: Array, x: float, y: float, sense: float, bound: float
) -> int:
    """The first line of an ordered view at signed distance ``bound`` or more from ``(x, y)``, counted in ``sense``."""
    low, high = 0, distance.size
    while low < high:
        middle = (low + high) // 2
        if sense * (distance[middle] - x * normal_x[middle] - y * normal_y[middle]) >= bound:
            high = middle
        else:
            low = middle + 1
    return low
