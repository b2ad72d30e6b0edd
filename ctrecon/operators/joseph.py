"""Joseph's projector without a matrix: numba kernels on all threads, any geometry made of straight rays.

The adjoint is the exact transpose: both directions use the same weights (``footprint.py``), which also fill the
matrix of ``sparse.py``. One image goes ray by ray, so that a ray's sum is one vectorised loop; the images of a batch
go line by line, side by side in vector registers (``lanes.py``).
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ctrecon.errors import OperatorError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.footprint import BITS, footprint, march
from ctrecon.operators.lanes import batches, from_lanes, gather_add, pair_add, scatter_add, tag, to_lanes
from ctrecon.support.arrays import Array
from ctrecon.support.threads import split, threads

# Zero pixels before and after each line: a ray at the border needs no question.
_PAD = 2
# Lines of a batch that stay in the processor's second cache together.
_BLOCK = 32
_BEHIND = BITS - 32  # of the bits behind the point, 32 become the weight
# No NaN arises, and a sum's order is free; so the loops become vector instructions.
_FAST = {"nsz", "contract", "reassoc"}


@numba.njit(nogil=True, cache=True, fastmath=_FAST)
def _project(
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
        x = np.uint64(start[ray] + slope[ray] * line + ((line * width + _PAD) << BITS))
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
def _back_project(
    by_row: Array, rows: Array, columns: Array, widths: tuple[int, int], start: Array, slope: Array,
    enter: Array, leave: Array, sinogram: Array, l0: int, l1: int,
) -> None:
    """The transpose of ``_project``, onto the lines ``l0..l1`` only: a thread owns its lines."""
    unit = rows.dtype.type(2.0**-32)
    for ray in range(start.size):
        lines, width = (rows, widths[0]) if by_row[ray] else (columns, widths[1])
        line = max(enter[ray], l0)
        x = np.uint64(start[ray] + slope[ray] * line + ((line * width + _PAD) << BITS))
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
        at[i] = np.int32(line * width + _PAD + k) if inside else np.int32(0)
        high[i] = weight if inside else zero
        low[i] = one - weight if inside else zero


@numba.njit(nogil=True, cache=True)
def _project_lanes(
    image: Array, first: Array, last: Array, start: Array, slope: Array, out: Array, lanes: tuple[int, ...],
    v0: int, v1: int,
) -> None:
    """``_project`` for a batch, ``image[line, pixel, lane]``, adding to ``out[view, detector, lane]``.

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
                            start[v, a:b], slope[v, a:b], line + j, count, width - 2 * _PAD, width,
                            at[j], low[j], high[j],
                        )
                    for i in range(b - a):
                        k = (at[0, i], at[1, i])
                        if k[0] | k[1]:
                            lower = (low[0, i], low[1, i])
                            upper = (high[0, i], high[1, i])
                            gather_add(view, a + i, flat, k, lower, upper, lanes)


@numba.njit(nogil=True, cache=True)
def _back_project_lanes(
    image: Array, first: Array, last: Array, start: Array, slope: Array, sinogram: Array, lanes: tuple[int, ...],
    l0: int, l1: int,
) -> None:
    """The transpose of ``_project_lanes``, onto the lines ``l0..l1``.

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
                            start[v, a:b], slope[v, a:b], line + j, l1, width - 2 * _PAD, width,
                            at[j], low[j], high[j],
                        )
                    for i in range(b - a):
                        k = (at[0, i], at[1, i], at[2, i], at[3, i])
                        if k[0] | k[1] | k[2] | k[3]:
                            lower = (low[0, i], low[1, i], low[2, i], low[3, i])
                            upper = (high[0, i], high[1, i], high[2, i], high[3, i])
                            scatter_add(flat, k, view, a + i, lower, upper, lanes)


def _runs(flags: npt.NDArray[np.bool_]) -> tuple[Array, Array]:
    """Start and stop of the runs of True in each row of ``flags``, as two ``[views, most runs]`` arrays."""
    padded = np.zeros((flags.shape[0], flags.shape[1] + 2), dtype=np.int8)
    padded[:, 1:-1] = flags
    steps = np.diff(padded, axis=1)
    most = max(1, int((steps == 1).sum(axis=1).max()))
    first = np.zeros((flags.shape[0], most), dtype=np.int64)
    last = np.zeros_like(first)
    for v in range(flags.shape[0]):
        begin, end = np.flatnonzero(steps[v] == 1), np.flatnonzero(steps[v] == -1)
        first[v, : begin.size], last[v, : end.size] = begin, end
    return first, last


class JosephOperator(LinearOperator):
    """``[batch, 1, rows, columns] -> [batch, 1, views, detectors]``: attenuation in 1/mm to line integrals.

    CPU only, float32 or float64 (half precision is computed in float32). Raises OperatorError for tensors elsewhere.
    """

    def __init__(self, geometry: Geometry, grid: Grid) -> None:
        super().__init__((1, *grid.shape), (1, *geometry.shape))
        self.geometry, self.grid = geometry, grid
        table = footprint(geometry, grid)
        self._length = table.length_mm
        self._by_row = table.by_row.reshape(-1)
        self._march = march(table, grid)
        self._rays = tuple(
            t.reshape(-1) for t in (self._march.start, self._march.slope, self._march.enter, self._march.leave)
        )
        self._widths = (grid.columns + 2 * _PAD, grid.rows + 2 * _PAD)
        # Which image lines each run of rays marches along: rows (False) or columns (True).
        self._runs = ((False, _runs(table.by_row)), (True, _runs(~table.by_row)))

    def extra_repr(self) -> str:
        return f"{self.geometry!r}, {self.grid!r}"

    def _settle(self, device: torch.device, dtype: torch.dtype) -> None:
        if device.type != "cpu":
            raise OperatorError(f"{type(self).__name__} works on the CPU only, not on {device}; use astra or sparse")

    def _forward(self, x: Tensor) -> Tensor:
        images = _numpy(x, self)[:, 0]
        out = np.empty((images.shape[0], *self.geometry.shape), dtype=images.dtype)
        for piece, lanes in batches(images.shape[0]):
            if lanes == 1:
                self._one_forward(images[piece], out[piece])
            else:
                self._some_forward(images[piece], lanes, out[piece])
        out *= self._length.astype(out.dtype)
        return torch.from_numpy(out[:, None])

    def _adjoint(self, y: Tensor) -> Tensor:
        sinograms = _numpy(y, self)[:, 0]
        sinograms = sinograms * self._length.astype(sinograms.dtype)
        out = np.empty((sinograms.shape[0], *self.grid.shape), dtype=sinograms.dtype)
        for piece, lanes in batches(sinograms.shape[0]):
            if lanes == 1:
                self._one_adjoint(sinograms[piece], out[piece])
            else:
                self._some_adjoint(sinograms[piece], lanes, out[piece])
        return torch.from_numpy(out[:, None])

    def _one_forward(self, image: Array, out: Array) -> None:
        rows, columns = (_padded(lines).reshape(-1) for lines in (image[0], image[0].T))
        rays = out.reshape(-1)
        split(
            rays.size,
            lambda a, b: _project(self._by_row, rows, columns, self._widths, *self._rays, rays, a, b),
            grain=512,
        )

    def _one_adjoint(self, sinogram: Array, out: Array) -> None:
        rows = np.zeros((self.grid.rows, self._widths[0]), dtype=sinogram.dtype)
        columns = np.zeros((self.grid.columns, self._widths[1]), dtype=sinogram.dtype)
        rays, pair = sinogram.reshape(-1), (rows.reshape(-1), columns.reshape(-1))
        split(
            max(self.grid.shape),
            lambda a, b: _back_project(self._by_row, *pair, self._widths, *self._rays, rays, a, b),
            pieces=threads(),  # every piece looks at every ray, so few pieces
        )
        np.add(rows[:, _PAD:-_PAD], columns[:, _PAD:-_PAD].T, out=out[0])

    def _some_forward(self, images: Array, lanes: int, out: Array) -> None:
        total, kind = np.zeros((*self.geometry.shape, lanes), dtype=images.dtype), tag(lanes)
        for transposed, runs in self._runs:
            image = to_lanes(np.swapaxes(images, 1, 2) if transposed else images, lanes, before=_PAD, after=_PAD)

            def work(v0: int, v1: int, image: Array = image, runs: tuple[Array, Array] = runs) -> None:
                _project_lanes(image, *runs, self._march.start, self._march.slope, total, kind, v0, v1)

            split(self.geometry.shape[0], work)
        from_lanes(total, out)

    def _some_adjoint(self, sinograms: Array, lanes: int, out: Array) -> None:
        sinogram, kind = to_lanes(sinograms, lanes), tag(lanes)
        parts = []
        for transposed, runs in self._runs:
            lines, pixels = self.grid.shape[::-1] if transposed else self.grid.shape
            image = np.zeros((lines, pixels + 2 * _PAD, lanes), dtype=sinograms.dtype)

            def work(l0: int, l1: int, image: Array = image, runs: tuple[Array, Array] = runs) -> None:
                _back_project_lanes(image, *runs, self._march.start, self._march.slope, sinogram, kind, l0, l1)

            split(lines, work)
            parts.append(image[:, _PAD:-_PAD])

        def add(a: int, b: int) -> None:
            parts[0][a:b] += np.swapaxes(parts[1], 0, 1)[a:b]

        split(self.grid.rows, add)
        from_lanes(parts[0], out)


def _padded(lines: Array) -> Array:
    out = np.zeros((lines.shape[0], lines.shape[1] + 2 * _PAD), dtype=lines.dtype)
    out[:, _PAD:-_PAD] = lines
    return out


def _numpy(x: Tensor, operator: LinearOperator) -> Array:
    if x.device.type != "cpu":
        raise OperatorError(
            f"{type(operator).__name__} works on the CPU, got a tensor on {x.device}; use astra or sparse"
        )
    if x.dtype not in (torch.float32, torch.float64):
        raise OperatorError(f"{type(operator).__name__} takes float32 or float64, got {x.dtype}; use x.float()")
    array: Array = x.numpy()
    return array
