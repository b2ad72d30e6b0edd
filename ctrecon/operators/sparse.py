"""The operator as a stored matrix and its transpose, both in compressed rows.

Two products by rows are faster than one by rows and one by columns, which is why the transpose is kept too; int32
indices, because int64 ones cost up to five times the time.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse
import torch
from torch import Tensor

from ctrecon.errors import OperatorError
from ctrecon.geometry import Geometry, ImageGrid
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.footprint import Footprint, footprint
from ctrecon.operators.threads import split

Array = npt.NDArray[Any]


@numba.njit(nogil=True, cache=True)
def _fill(
    by_row: Array, start: Array, slope: Array, length: Array, rows: int, columns: int,
    indptr: Array, indices: Array, data: Array, r0: int, r1: int,
) -> None:
    """Write the entries of the rays ``r0..r1``; with empty ``data`` only count them into ``indptr[ray + 1]``."""
    counting = data.size == 0
    for ray in range(r0, r1):
        lines, width = (rows, columns) if by_row[ray] else (columns, rows)
        at = 0 if counting else indptr[ray]
        for line in range(lines):
            x = min(max(start[ray] + slope[ray] * line, -1.0), float(width))
            k = int(x + 1.0)
            w = x + 1.0 - k
            for side in range(2):
                pixel = k - 1 + side
                weight = w if side == 1 else 1.0 - w
                if pixel < 0 or pixel >= width or weight == 0.0:
                    continue
                if not counting:
                    indices[at] = line * columns + pixel if by_row[ray] else pixel * columns + line
                    data[at] = length[ray] * weight
                at += 1
        if counting:
            indptr[ray + 1] = at


def joseph_matrix(
    geometry: Geometry, grid: ImageGrid, dtype: npt.DTypeLike = np.float32
) -> scipy.sparse.csr_matrix:
    """Joseph's weights as a scipy matrix ``[views * detectors, rows * columns]``, in mm.

    Raises OperatorError where int32 cannot count its entries.
    """
    table: Footprint = footprint(geometry, grid)
    flat = [np.ascontiguousarray(t).ravel() for t in (table.by_row, table.start, table.slope, table.length_mm)]
    rays = flat[0].size
    indptr = np.zeros(rays + 1, dtype=np.int64)
    none, no_indices = np.empty(0, dtype=dtype), np.empty(0, dtype=np.int32)
    split(rays, lambda a, b: _fill(*flat, *grid.shape, indptr, no_indices, none, a, b))
    np.cumsum(indptr, out=indptr)
    entries = int(indptr[-1])
    if entries > np.iinfo(np.int32).max:
        raise OperatorError(f"the matrix would have {entries} entries, more than int32 can count; use joseph")
    indices, data = np.empty(entries, dtype=np.int32), np.empty(entries, dtype=dtype)
    split(rays, lambda a, b: _fill(*flat, *grid.shape, indptr, indices, data, a, b))
    return scipy.sparse.csr_matrix(
        (data, indices, indptr.astype(np.int32)), shape=(rays, grid.rows * grid.columns), copy=False
    )


def matrix_bytes(geometry: Geometry, grid: ImageGrid) -> int:
    """About how much memory the matrix and its transpose take in float32, from above."""
    views, detectors = geometry.shape
    return 2 * views * detectors * 2 * max(grid.shape) * 8


class SparseOperator(LinearOperator):
    """A stored matrix ``[m, n]`` and its transpose: ``[batch, *domain_shape] -> [batch, *range_shape]``.

    ``matrix`` is any scipy sparse matrix, from ``joseph_matrix`` or the user's own. float32 or float64, any device.
    Raises OperatorError where the shapes do not fit the matrix or an entry is not finite.
    """

    def __init__(
        self,
        matrix: scipy.sparse.spmatrix | scipy.sparse.csr_matrix,
        domain_shape: tuple[int, ...],
        range_shape: tuple[int, ...],
        *,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(domain_shape, range_shape)
        rows, columns = matrix.shape
        if (rows, columns) != (int(np.prod(range_shape)), int(np.prod(domain_shape))):
            raise OperatorError(
                f"a {rows} x {columns} matrix does not map images {list(domain_shape)} to data {list(range_shape)}"
            )
        csr = scipy.sparse.csr_matrix(matrix)
        if not np.all(np.isfinite(csr.data)):
            raise OperatorError("the matrix holds entries that are not finite")
        self._matrix = _torch_csr(csr, dtype)
        self._transpose = _torch_csr(scipy.sparse.csr_matrix(csr.T), dtype)

    def to(self, device: torch.device | str) -> SparseOperator:
        """Move both matrices; returns self."""
        self._matrix, self._transpose = self._matrix.to(device), self._transpose.to(device)
        return self

    @property
    def nonzeros(self) -> int:
        return int(self._matrix.values().numel())

    def _forward(self, x: Tensor) -> Tensor:
        return _product(self._matrix, x, self.range_shape)

    def _adjoint(self, y: Tensor) -> Tensor:
        return _product(self._transpose, y, self.domain_shape)

    def _probe(self) -> Tensor:
        return self._matrix.values()[:0]


def _torch_csr(matrix: scipy.sparse.csr_matrix, dtype: torch.dtype) -> Tensor:
    with _sparse_notice_unheard():
        return torch.sparse_csr_tensor(
            torch.from_numpy(matrix.indptr.astype(np.int32, copy=False)),
            torch.from_numpy(matrix.indices.astype(np.int32, copy=False)),
            torch.from_numpy(matrix.data).to(dtype),
            size=matrix.shape,
        )


def _product(matrix: Tensor, x: Tensor, shape: tuple[int, ...]) -> Tensor:
    if x.dtype != matrix.dtype or x.device != matrix.device:
        raise OperatorError(f"this matrix holds {matrix.dtype} on {matrix.device}, got {x.dtype} on {x.device}")
    batch = x.shape[0]
    if batch == 1:
        return (matrix @ x.reshape(-1)).reshape(1, *shape)
    return (matrix @ x.reshape(batch, -1).T).T.reshape(batch, *shape)


class _sparse_notice_unheard:
    """torch says once that its compressed rows are in beta; here they are tested, and users cannot act on it."""

    def __enter__(self) -> None:
        import warnings

        self._catch = warnings.catch_warnings()
        self._catch.__enter__()
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")

    def __exit__(self, *_: object) -> None:
        self._catch.__exit__(None, None, None)


def sparse_operator(geometry: Geometry, grid: ImageGrid, *, dtype: torch.dtype = torch.float32) -> SparseOperator:
    """Joseph's matrix pair for a geometry: attenuation in 1/mm to line integrals."""
    numpy_dtype = np.float64 if dtype == torch.float64 else np.float32
    matrix = joseph_matrix(geometry, grid, numpy_dtype)
    return SparseOperator(matrix, (1, *grid.shape), (1, *geometry.shape), dtype=dtype)
