"""Joseph's projector without a matrix: numba kernels on all threads, any geometry made of straight rays.

The adjoint is the exact transpose: both directions use the same weights (``footprint.py``), which also fill the
matrix of ``sparse.py``.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ctrecon.errors import OperatorError
from ctrecon.geometry import Geometry, ImageGrid
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.footprint import footprint
from ctrecon.operators.threads import split

Array = npt.NDArray[Any]


@numba.njit(nogil=True, cache=True)
def _gather(lines: Array, first: Array, last: Array, start: Array, slope: Array, out: Array, v0: int, v1: int) -> None:
    """Add to ``out[v, i]`` the interpolated values of ``lines[l, 1 + x]`` (one zero column left, two right)."""
    count, width = lines.shape[0], lines.shape[1] - 3
    for v in range(v0, v1):
        for piece in range(first.shape[1]):
            low, high = first[v, piece], last[v, piece]
            if low >= high:
                continue
            total = np.zeros(high - low, dtype=np.float64)
            starts, slopes = start[v, low:high], slope[v, low:high]
            for line in range(count):
                row = lines[line]
                for i in range(high - low):
                    x = min(max(starts[i] + slopes[i] * line, -1.0), float(width))
                    # x >= -1, so truncating x + 1 is its floor; unlike floor() it vectorises.
                    k = int(x + 1.0)
                    w = x + 1.0 - k
                    total[i] += (1.0 - w) * row[k] + w * row[k + 1]
            for i in range(high - low):
                out[v, low + i] += total[i]


@numba.njit(nogil=True, cache=True)
def _scatter(
    sinogram: Array, first: Array, last: Array, start: Array, slope: Array, out: Array, l0: int, l1: int
) -> None:
    """The transpose of ``_gather`` for the lines ``l0..l1``; threads own lines, so they never write the same pixel."""
    width = out.shape[1]
    for line in range(l0, l1):
        buffer = np.zeros(width + 3, dtype=np.float64)
        for v in range(sinogram.shape[0]):
            for piece in range(first.shape[1]):
                for i in range(first[v, piece], last[v, piece]):
                    x = min(max(start[v, i] + slope[v, i] * line, -1.0), float(width))
                    k = int(x + 1.0)
                    w = x + 1.0 - k
                    value = sinogram[v, i]
                    buffer[k] += (1.0 - w) * value
                    buffer[k + 1] += w * value
        for c in range(width):
            out[line, c] += buffer[c + 1]


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

    CPU only, float32 or float64. Raises OperatorError for tensors elsewhere.
    """

    def __init__(self, geometry: Geometry, grid: ImageGrid) -> None:
        super().__init__((1, *grid.shape), (1, *geometry.shape))
        self.geometry, self.grid = geometry, grid
        self._table = footprint(geometry, grid)
        self._by_row = _runs(self._table.by_row)
        self._by_column = _runs(~self._table.by_row)

    def _forward(self, x: Tensor) -> Tensor:
        images = _numpy(x, self)
        table, views = self._table, self.geometry.shape[0]
        out = np.zeros((images.shape[0], *self.geometry.shape), dtype=images.dtype)
        for image, sinogram in zip(images[:, 0], out, strict=True):
            for lines, (first, last) in ((image, self._by_row), (image.T, self._by_column)):
                padded = np.zeros((lines.shape[0], lines.shape[1] + 3), dtype=lines.dtype)
                padded[:, 1:-2] = lines

                def work(
                    v0: int, v1: int, padded: Array = padded, first: Array = first, last: Array = last,
                    sinogram: Array = sinogram,
                ) -> None:
                    _gather(padded, first, last, table.start, table.slope, sinogram, v0, v1)

                split(views, work)
            sinogram *= table.length_mm
        return torch.from_numpy(out[:, None])

    def _adjoint(self, y: Tensor) -> Tensor:
        sinograms = _numpy(y, self)
        table = self._table
        out = np.zeros((sinograms.shape[0], *self.grid.shape), dtype=sinograms.dtype)
        for sinogram, image in zip(sinograms[:, 0], out, strict=True):
            weighted = (sinogram * table.length_mm).astype(sinogram.dtype)
            for columns, (first, last) in ((False, self._by_row), (True, self._by_column)):
                lines = np.zeros(image.T.shape, dtype=image.dtype) if columns else image

                def work(
                    l0: int, l1: int, lines: Array = lines, first: Array = first, last: Array = last,
                    weighted: Array = weighted,
                ) -> None:
                    _scatter(weighted, first, last, table.start, table.slope, lines, l0, l1)

                split(lines.shape[0], work)
                if columns:
                    image += lines.T
        return torch.from_numpy(out[:, None])


def _numpy(x: Tensor, operator: LinearOperator) -> Array:
    if x.device.type != "cpu":
        raise OperatorError(f"{type(operator).__name__} works on the CPU, got a tensor on {x.device}")
    if x.dtype not in (torch.float32, torch.float64):
        raise OperatorError(f"{type(operator).__name__} takes float32 or float64, got {x.dtype}")
    array: Array = x.numpy()
    return array
