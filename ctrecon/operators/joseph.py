"""Joseph's projector without a matrix: numba kernels on all threads, any geometry made of straight rays.

The adjoint is the exact transpose: both directions use the same weights (``footprint.py``), which also fill the
matrix of ``sparse.py``. One image goes ray by ray, so that a ray's sum is one vectorised loop; the images of a batch
go line by line, side by side in vector registers (``lanes.py``). The kernels (``joseph_kernels.py``) are
loaded with the first product, because numba takes as long to load as a small reconstruction.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ctrecon.errors import OperatorError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.footprint import footprint, march
from ctrecon.operators.lanes import PAD, batches, from_lanes, tag, to_lanes
from ctrecon.support.arrays import Array
from ctrecon.support.threads import split, threads


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
        self._widths = (grid.columns + 2 * PAD, grid.rows + 2 * PAD)
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
        from ctrecon.operators import joseph_kernels as kernels

        rows, columns = (_padded(lines).reshape(-1) for lines in (image[0], image[0].T))
        rays = out.reshape(-1)
        split(
            rays.size,
            lambda a, b: kernels.project(self._by_row, rows, columns, self._widths, *self._rays, rays, a, b),
            grain=512,
        )

    def _one_adjoint(self, sinogram: Array, out: Array) -> None:
        from ctrecon.operators import joseph_kernels as kernels

        rows = np.zeros((self.grid.rows, self._widths[0]), dtype=sinogram.dtype)
        columns = np.zeros((self.grid.columns, self._widths[1]), dtype=sinogram.dtype)
        rays, pair = sinogram.reshape(-1), (rows.reshape(-1), columns.reshape(-1))
        split(
            max(self.grid.shape),
            lambda a, b: kernels.back_project(self._by_row, *pair, self._widths, *self._rays, rays, a, b),
            pieces=threads(),  # every piece looks at every ray, so few pieces
        )
        np.add(rows[:, PAD:-PAD], columns[:, PAD:-PAD].T, out=out[0])

    def _some_forward(self, images: Array, lanes: int, out: Array) -> None:
        from ctrecon.operators import joseph_kernels as kernels

        total, kind = np.zeros((*self.geometry.shape, lanes), dtype=images.dtype), tag(lanes)
        for transposed, runs in self._runs:
            image = to_lanes(np.swapaxes(images, 1, 2) if transposed else images, lanes, before=PAD, after=PAD)

            def work(v0: int, v1: int, image: Array = image, runs: tuple[Array, Array] = runs) -> None:
                kernels.project_lanes(image, *runs, self._march.start, self._march.slope, total, kind, v0, v1)

            split(self.geometry.shape[0], work)
        from_lanes(total, out)

    def _some_adjoint(self, sinograms: Array, lanes: int, out: Array) -> None:
        from ctrecon.operators import joseph_kernels as kernels

        sinogram, kind = to_lanes(sinograms, lanes), tag(lanes)
        parts = []
        for transposed, runs in self._runs:
            lines, pixels = self.grid.shape[::-1] if transposed else self.grid.shape
            image = np.zeros((lines, pixels + 2 * PAD, lanes), dtype=sinograms.dtype)

            def work(l0: int, l1: int, image: Array = image, runs: tuple[Array, Array] = runs) -> None:
                kernels.back_project_lanes(image, *runs, self._march.start, self._march.slope, sinogram, kind, l0, l1)

            split(lines, work)
            parts.append(image[:, PAD:-PAD])

        def add(a: int, b: int) -> None:
            parts[0][a:b] += np.swapaxes(parts[1], 0, 1)[a:b]

        split(self.grid.rows, add)
        from_lanes(parts[0], out)


def _padded(lines: Array) -> Array:
    out = np.zeros((lines.shape[0], lines.shape[1] + 2 * PAD), dtype=lines.dtype)
    out[:, PAD:-PAD] = lines
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
