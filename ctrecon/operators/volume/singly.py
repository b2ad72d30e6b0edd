"""Joseph's projector ray by ray: for detectors that lean, free vectors, and rays that climb steeply.

Forward, threads own rays; backward, they own planes of voxels, so that nothing is added twice at once.
"""

from __future__ import annotations

import math

import numba
import numpy as np

from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.operators.footprint import TIE
from ctrecon.operators.volume.rays import Steps, first_row
from ctrecon.support.arrays import Array, Float64Array


def cells_of(geometry: Geometry, grid: Grid) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Of each view the cells of row 0 ``[views, columns, 3]``, the step to the next row and the source ``[views, 3]``.

    In steps of the grid; of parallel rays the source is their direction.
    """
    vectors, steps = geometry.to_vectors(), Steps.of(grid)
    source = steps.directions(vectors.source) if vectors.parallel else steps.places(vectors.source)
    return steps.places(first_row(vectors)), steps.directions(vectors.row_mm * vectors.v), source


@numba.njit(nogil=True, cache=True)
def _limits(at: float, slope: float, size: int, low: float, high: float) -> tuple[float, float]:
    """``low..high`` cut to where ``at + m slope`` is less than a voxel outside of ``size``."""
    if abs(slope) < 1e-12:
        return (low, high) if -1 < at < size else (1.0, 0.0)
    a, b = (-1 - at) / slope, (size - at) / slope
    return max(low, min(a, b)), min(high, max(a, b))


@numba.njit(nogil=True, cache=True)
def _ray(
    cells: Array, up: Array, source: Array, parallel: bool, shape: tuple[int, int, int],
    sides: tuple[float, float, float], v: int, r: int, c: int, numbers: Array,
) -> tuple[int, int, int]:
    """The axis whose planes a ray crosses, the first and one past the last that it meets.

    ``numbers`` become where it crosses plane 0 and what it gains from plane to plane, in the two other axes in order,
    and its length from plane to plane in mm.
    """
    px, py, pz = cells[v, c, 0] + r * up[v, 0], cells[v, c, 1] + r * up[v, 1], cells[v, c, 2] + r * up[v, 2]
    if parallel:
        dx, dy, dz = source[v, 0], source[v, 1], source[v, 2]
    else:
        dx, dy, dz = px - source[v, 0], py - source[v, 1], pz - source[v, 2]
        px, py, pz = source[v, 0], source[v, 1], source[v, 2]
    length = math.sqrt((dx * sides[0]) ** 2 + (dy * sides[1]) ** 2 + (dz * sides[2]) ** 2)
    if abs(dy) >= abs(dx) * (1 - TIE) and abs(dy) >= abs(dz) * (1 - TIE):
        axis, main, at = 1, dy, py
        pa, da, na, pb, db, nb = px, dx, shape[0], pz, dz, shape[2]
    elif abs(dx) >= abs(dz) * (1 - TIE):
        axis, main, at = 0, dx, px
        pa, da, na, pb, db, nb = py, dy, shape[1], pz, dz, shape[2]
    else:
        axis, main, at = 2, dz, pz
        pa, da, na, pb, db, nb = px, dx, shape[0], py, dy, shape[1]
    numbers[1], numbers[3] = da / main, db / main
    numbers[0], numbers[2] = pa - at * numbers[1], pb - at * numbers[3]
    numbers[4] = length / abs(main)
    low, high = _limits(numbers[0], numbers[1], na, 0.0, shape[axis] - 1.0)
    low, high = _limits(numbers[2], numbers[3], nb, low, high)
    if not low <= high:
        return axis, 0, 0
    return axis, math.ceil(low), math.floor(high) + 1


@numba.njit(nogil=True, cache=True)
def project_singly(
    volume: Array, cells: Array, up: Array, source: Array, parallel: bool, sides: tuple[float, float, float],
    out: Array, v0: int, v1: int,
) -> None:
    """``out[view, row, column]`` for the views ``v0..v1`` of a volume ``[slices, rows, columns]``."""
    nz, ny, nx = volume.shape
    flat = volume.reshape(volume.size)
    strides = (1, nx, nx * ny)
    numbers = np.empty(5)
    for v in range(v0, v1):
        for r in range(out.shape[1]):
            for c in range(out.shape[2]):
                axis, first, last = _ray(cells, up, source, parallel, (nx, ny, nz), sides, v, r, c, numbers)
                one, two = (1, 2) if axis == 0 else (0, 2) if axis == 1 else (0, 1)
                na, nb = (nx, ny, nz)[one], (nx, ny, nz)[two]
                sa, sb, sm = strides[one], strides[two], strides[axis]
                total = 0.0
                for m in range(first, last):
                    a, b = numbers[0] + m * numbers[1], numbers[2] + m * numbers[3]
                    i, j = math.floor(a), math.floor(b)
                    f, g = a - i, b - j
                    k = m * sm + i * sa + j * sb
                    if 0 <= i < na - 1 and 0 <= j < nb - 1:
                        low = flat[k] + f * (flat[k + sa] - flat[k])
                        high = flat[k + sb] + f * (flat[k + sb + sa] - flat[k + sb])
                        total += low + g * (high - low)
                        continue
                    if 0 <= j < nb:
                        if 0 <= i < na:
                            total += (1 - f) * (1 - g) * flat[k]
                        if 0 <= i + 1 < na:
                            total += f * (1 - g) * flat[k + sa]
                    if 0 <= j + 1 < nb:
                        if 0 <= i < na:
                            total += (1 - f) * g * flat[k + sb]
                        if 0 <= i + 1 < na:
                            total += f * g * flat[k + sb + sa]
                out[v, r, c] = total * numbers[4]


@numba.njit(nogil=True, cache=True)
def back_project_singly(
    volume: Array, cells: Array, up: Array, source: Array, parallel: bool, sides: tuple[float, float, float],
    data: Array, wanted: int, m0: int, m1: int,
) -> None:
    """The transpose, of rays that cross the planes of the axis ``wanted``, onto the planes ``m0..m1``."""
    nz, ny, nx = volume.shape
    flat = volume.reshape(volume.size)
    strides = (1, nx, nx * ny)
    numbers = np.empty(5)
    one, two = (1, 2) if wanted == 0 else (0, 2) if wanted == 1 else (0, 1)
    na, nb = (nx, ny, nz)[one], (nx, ny, nz)[two]
    sa, sb, sm = strides[one], strides[two], strides[wanted]
    for v in range(data.shape[0]):
        for r in range(data.shape[1]):
            for c in range(data.shape[2]):
                axis, first, last = _ray(cells, up, source, parallel, (nx, ny, nz), sides, v, r, c, numbers)
                if axis != wanted:
                    continue
                value = data[v, r, c] * numbers[4]
                for m in range(max(first, m0), min(last, m1)):
                    a, b = numbers[0] + m * numbers[1], numbers[2] + m * numbers[3]
                    i, j = math.floor(a), math.floor(b)
                    f, g = a - i, b - j
                    k = m * sm + i * sa + j * sb
                    if 0 <= i < na and 0 <= j < nb:
                        flat[k] += value * ((1 - f) * (1 - g))
                    if 0 <= i + 1 < na and 0 <= j < nb:
                        flat[k + sa] += value * (f * (1 - g))
                    if 0 <= i < na and 0 <= j + 1 < nb:
                        flat[k + sb] += value * ((1 - f) * g)
                    if 0 <= i + 1 < na and 0 <= j + 1 < nb:
                        flat[k + sb + sa] += value * (f * g)
