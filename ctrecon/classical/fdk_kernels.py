"""Back projection in space, upright column of voxels by column: a line of the detector is mixed once for all slices."""

from __future__ import annotations

import math

import numba
import numpy as np

from ctrecon.operators.volume.line import add_to_line, read_line
from ctrecon.support.arrays import Array

_FAST = {"nsz", "contract", "reassoc"}
_PAD = 2


# Loops count from 0 over slices cut to size, so that the compiler makes vectors of them.


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def _mix(out: Array, low: Array, high: Array, f: float, weight: float) -> None:
    for r in range(out.size):
        out[r] = weight * (low[r] + f * (high[r] - low[r]))


@numba.njit(nogil=True, cache=True)
def _seen(table: Array, curved: bool, x: float, y: float) -> tuple[float, float, float]:
    """The column of a place, counted from the zero column before the first, its weight, and how it is magnified."""
    if not curved:
        u = 1 / (table[3] + table[4] * x + table[5] * y)
        return (table[0] + table[1] * x + table[2] * y) * u + 1, u * u, table[6] * u
    cos, sin, dx, dy = table[0], table[1], x - table[2], y - table[3]
    a, b = dx * cos + dy * sin, dy * cos - dx * sin
    away = 1 / math.sqrt(a * a + b * b)
    a, b = a * away, b * away
    # From the true source to the arc about the nominal one.
    inner = table[4] * a + table[5] * b
    far = math.sqrt(table[7] * table[7] - table[6] + inner * inner) - inner
    column = table[8] * math.atan2(table[4] + far * a, table[5] + far * b) + table[9]
    return column, table[10] * away * away, far * away


@numba.njit(nogil=True, cache=True)
def _met(
    start: float, rise: float, rows: int, slices: int
) -> tuple[int, int, float, int, int]:
    """Slices ``k0..k1`` whose row is on the detector, half a cell beyond its middle being the border row; the row of
    the first of them; and the whole rows ``r0..r1`` between which all of them lie.
    """
    a, b = (-0.5 - start) / rise, (rows - 0.5 - start) / rise
    k0 = int(min(max(math.ceil(min(a, b)), 0.0), float(slices)))
    k1 = int(min(max(math.floor(max(a, b)) + 1, float(k0)), float(slices)))
    e0, e1 = start + k0 * rise, start + (k1 - 1) * rise
    return k0, k1, e0, max(int(min(e0, e1)) - 1, 0), min(int(max(e0, e1)) + 3, rows)


@numba.njit(nogil=True, cache=True)
def back_project(
    filtered: Array, places: Array, first: Array, step: Array, curved: bool, x: Array, y: Array, volume: Array,
    y0: int, y1: int,
) -> None:
    """Adds to ``volume[y, x, z]`` in its rows ``y0..y1`` from ``filtered[view, column, row]``.

    ``filtered`` has one zero column before and two after. Voxels that the rows do not see get nothing.
    """
    views, columns, rows = filtered.shape
    slices = volume.shape[2]
    line = np.zeros(rows + 2 * _PAD, np.float32)
    for j in range(y0, y1):
        for i in range(x.size):
            for v in range(views):
                column, weight, magnified = _seen(places[v], curved, x[i], y[j])
                if not 0 <= column < columns - 1:
                    continue
                c = int(column)
                start, rise = first[v, 0] * magnified + first[v, 1], step[v] * magnified
                k0, k1, e0, r0, r1 = _met(start, rise, rows, slices)
                if k0 >= k1:
                    continue
                low, high = filtered[v, c, r0:r1], filtered[v, c + 1, r0:r1]
                _mix(line[_PAD + r0 : _PAD + r1], low, high, np.float32(column - c), np.float32(weight))
                if r0 == 0:
                    line[_PAD - 1] = line[_PAD]
                if r1 == rows:
                    line[_PAD + rows] = line[_PAD + rows - 1]
                read_line(volume[j, i, k0:k1], line, np.float32(e0 + _PAD), np.float32(rise))


@numba.njit(nogil=True, cache=True)
def spread(
    filtered: Array, places: Array, first: Array, step: Array, curved: bool, x: Array, y: Array, volume: Array,
    v0: int, v1: int,
) -> None:
    """The transpose of ``back_project``: adds to ``filtered[view, column, row]`` in its views ``v0..v1``."""
    _, columns, rows = filtered.shape
    slices = volume.shape[2]
    line = np.zeros(rows + 2 * _PAD, np.float32)
    for v in range(v0, v1):
        for j in range(y.size):
            for i in range(x.size):
                column, weight, magnified = _seen(places[v], curved, x[i], y[j])
                if not 0 <= column < columns - 1:
                    continue
                c = int(column)
                start, rise = first[v, 0] * magnified + first[v, 1], step[v] * magnified
                k0, k1, e0, r0, r1 = _met(start, rise, rows, slices)
                if k0 >= k1:
                    continue
                add_to_line(line, volume[j, i, k0:k1], np.float32(e0 + _PAD), np.float32(rise))
                if r0 == 0:
                    line[_PAD] += line[_PAD - 1]
                if r1 == rows:
                    line[_PAD + rows - 1] += line[_PAD + rows]
                f, w = np.float32(column - c), np.float32(weight)
                for r in range(r0, r1):
                    filtered[v, c, r] += w * (1 - f) * line[_PAD + r]
                    filtered[v, c + 1, r] += w * f * line[_PAD + r]
                line[_PAD + r0 - 1 : _PAD + r1 + 1] = 0
