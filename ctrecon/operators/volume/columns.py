"""Joseph's projector where a detector's columns are parallel to the axis of rotation.

A column's rays lie in one plane along z. So where that plane crosses a plane of voxels, the two next lines of voxels
are mixed once for all rows, ``line = (1 - w) u[j] + w u[j + 1]``, and each row takes its two next entries of that line;
from row to row its place advances by a constant. Volumes are kept ``[rows, columns, slices]``, so that lines are
contiguous, and data ``[views, columns, rows]``, a few views at a time.

Forward, threads own views; backward, they own planes, so that nothing is added twice at once. Results do not depend on
how many threads there are. Planes are taken a few at a time, such that they stay in the processor's cache while views
pass.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from ctrecon.operators.lane_instructions import pair_add
from ctrecon.operators.volume.line import read_line
from ctrecon.support.arrays import Array

# Zeros before and after a line: a ray at the border needs no question.
PAD = 3
# Planes of voxels that stay in the second cache together, by their number of values.
CACHED = 1 << 18
_FAST = {"nsz", "contract", "reassoc"}


@numba.njit(nogil=True, cache=True)
def _rows_within(start: float, step: float, rows: int, slices: int) -> tuple[int, int]:
    """Which rows of a column, at ``start + r step``, are less than a voxel outside of the slices."""
    if abs(step) < 1e-12:
        return (0, rows) if -1 < start < slices else (0, 0)
    a, b = (-1 - start) / step, (slices - start) / step
    low, high = min(a, b), max(a, b)
    first = int(min(max(math.ceil(low), 0.0), float(rows)))
    last = int(min(max(math.floor(high) + 1, float(first)), float(rows)))
    return first, last


# Loops count from 0 over slices cut to size: only then the compiler knows that no index is negative, and makes vectors.


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def _mix(out: Array, low: Array, high: Array, w: float) -> None:
    for k in range(out.size):
        out[k] = low[k] + w * (high[k] - low[k])


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def _scale(out: Array, one: Array, w: float) -> None:
    for k in range(out.size):
        out[k] = w * one[k]


@numba.njit(nogil=True, cache=True)
def project_columns(
    volume: Array, shape: tuple[int, int, int], p: Array, d: Array, z: Array, along: Array, first: Array, last: Array,
    out: Array, v0: int, v1: int,
) -> None:
    """Adds to ``out[view - v0, column, row]`` the sums along the rays of the views ``v0..v1``, in voxels.

    ``volume`` may be larger than its ``shape`` ``(columns, rows, slices)`` says.
    """
    nx, ny, nz = shape
    columns, rows = out.shape[1], out.shape[2]
    kind = volume.dtype.type
    line = np.zeros(nz + 2 * PAD, volume.dtype)
    for axis in range(2):
        planes, across = (ny, nx) if axis == 1 else (nx, ny)
        block = max(1, CACHED // (across * nz))
        for b0 in range(0, planes, block):
            b1 = min(b0 + block, planes)
            for v in range(v0, v1):
                for c in range(columns):
                    if along[v, c] != axis:
                        continue
                    for m in range(max(b0, first[v, c]), min(b1, last[v, c])):
                        t = (m - p[v, c, axis]) / d[v, c, axis]
                        at = p[v, c, 1 - axis] + t * d[v, c, 1 - axis]
                        j = math.floor(at)
                        w = at - j
                        if j < -1 or j >= across:  # by rounding
                            continue
                        start, step = z[v, 0] + t * z[v, 1], z[v, 2] + t * z[v, 3]
                        r0, r1 = _rows_within(start, step, rows, nz)
                        if r0 >= r1:
                            continue
                        e0, e1 = start + r0 * step, start + (r1 - 1) * step
                        k0 = max(math.floor(min(e0, e1)) - 1, 0)
                        k1 = min(math.floor(max(e0, e1)) + 3, nz)
                        inside = 0 <= j and j + 1 < across
                        if axis == 1:
                            low = volume[m, max(j, 0)]
                            high = volume[m, min(j + 1, across - 1)]
                        else:
                            low = volume[max(j, 0), m]
                            high = volume[min(j + 1, across - 1), m]
                        mixed = line[PAD + k0 : PAD + k1]
                        if inside:
                            _mix(mixed, low[k0:k1], high[k0:k1], kind(w))
                        elif j < 0:
                            _scale(mixed, high[k0:k1], kind(w))
                        else:
                            _scale(mixed, low[k0:k1], kind(1 - w))
                        read_line(out[v - v0, c, r0:r1], line, kind(e0 + PAD), kind(step))


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def _spread(lines: Array, width: int, values: Array, x: float, step: float) -> None:
    """The transpose of ``_read``, onto four lines in turn: neighbours do not wait for each other's sums."""
    for r in range(values.size):
        at = x + step * np.float32(r)
        whole = np.int32(at)
        f = at - np.float32(whole)
        high = f * values[r]
        pair_add(lines, (r & 3) * width + np.int64(whole), values[r] - high, high)


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def _gather(out: Array, a: Array, b: Array, c: Array, d: Array) -> None:
    """The sum of the four lines; they are zero again after."""
    for k in range(out.size):
        out[k] = (a[k] + b[k]) + (c[k] + d[k])
    a[:], b[:], c[:], d[:] = 0, 0, 0, 0


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def _add(out: Array, line: Array, w: float) -> None:
    for k in range(out.size):
        out[k] += w * line[k]


@numba.njit(nogil=True, cache=True)
def back_project_columns(
    volume: Array, shape: tuple[int, int, int], p: Array, d: Array, z: Array, along: Array, first: Array, last: Array,
    data: Array, v0: int, axis: int, m0: int, m1: int,
) -> None:
    """The transpose of ``project_columns`` for the views from ``v0`` on in ``data``, onto the planes ``m0..m1``."""
    nx, ny, nz = shape
    views, columns, rows = data.shape
    kind = volume.dtype.type
    across = nx if axis == 1 else ny
    width = nz + 2 * PAD
    lines = np.zeros((4, width), volume.dtype)
    flat = lines.reshape(lines.size)
    line = np.zeros(nz + 2 * PAD, volume.dtype)
    block = max(1, CACHED // (across * nz))
    for b0 in range(m0, m1, block):
        b1 = min(b0 + block, m1)
        for i in range(views):
            v = v0 + i
            for c in range(columns):
                if along[v, c] != axis:
                    continue
                for m in range(max(b0, first[v, c]), min(b1, last[v, c])):
                    t = (m - p[v, c, axis]) / d[v, c, axis]
                    at = p[v, c, 1 - axis] + t * d[v, c, 1 - axis]
                    j = math.floor(at)
                    w = at - j
                    if j < -1 or j >= across:  # by rounding
                        continue
                    start, step = z[v, 0] + t * z[v, 1], z[v, 2] + t * z[v, 3]
                    r0, r1 = _rows_within(start, step, rows, nz)
                    if r0 >= r1:
                        continue
                    e0, e1 = start + r0 * step, start + (r1 - 1) * step
                    k0 = max(math.floor(min(e0, e1)) - 1, -PAD)
                    k1 = min(math.floor(max(e0, e1)) + 3, nz + PAD)
                    _spread(flat, width, data[i, c, r0:r1], kind(e0 + PAD), kind(step))
                    a, b = PAD + k0, PAD + k1
                    _gather(line[a:b], lines[0, a:b], lines[1, a:b], lines[2, a:b], lines[3, a:b])
                    k0, k1 = max(k0, 0), min(k1, nz)
                    within = line[PAD + k0 : PAD + k1]
                    if j >= 0:
                        low = volume[m, j] if axis == 1 else volume[j, m]
                        _add(low[k0:k1], within, kind(1 - w))
                    if j + 1 < across:
                        high = volume[m, j + 1] if axis == 1 else volume[j + 1, m]
                        _add(high[k0:k1], within, kind(w))


@numba.njit(nogil=True, cache=True)
def weigh_columns(
    d: Array, z: Array, along: Array, sides: tuple[float, float, float], parallel: bool, data: Array, out: Array,
    transposed: bool, v0: int,
) -> None:
    """Turns ``[views, columns, rows]`` into ``[views, rows, columns]``, or back where ``transposed``.

    On the way values are multiplied by the length of their ray from plane to plane, in mm. ``v0`` is the first view of
    ``d`` and ``z`` that is meant.
    """
    views, columns, rows = out.shape if transposed else data.shape
    for v in range(views):
        a = z[v0 + v, 1]
        b = 0.0 if parallel else z[v0 + v, 3]
        for c0 in range(0, columns, 16):
            for r in range(rows):
                height = (a + r * b) * sides[2]
                for c in range(c0, min(c0 + 16, columns)):
                    x, y = d[v0 + v, c, 0] * sides[0], d[v0 + v, c, 1] * sides[1]
                    length = math.sqrt(x * x + y * y + height * height) / abs(d[v0 + v, c, along[v0 + v, c]])
                    if transposed:
                        out[v, c, r] = length * data[v, r, c]
                    else:
                        out[v, r, c] = length * data[v, c, r]


@numba.njit(nogil=True, cache=True)
def turn_back(upright: Array, volume: Array, y0: int, y1: int) -> None:
    """Adds ``upright[y, x, z]`` to ``volume[z, y, x]`` in the rows ``y0..y1``, and leaves zeros.

    A few slices at a time: so many lines of the volume stay in the first cache while ``x`` passes.
    """
    slices, _, columns = volume.shape
    for y in range(y0, y1):
        for z0 in range(0, slices, 16):
            z1 = min(z0 + 16, slices)
            for x in range(columns):
                for z in range(z0, z1):
                    volume[z, y, x] += upright[y, x, z]
                    upright[y, x, z] = 0
