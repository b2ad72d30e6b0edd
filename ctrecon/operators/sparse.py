"""The operator as a stored matrix and its transpose, both in compressed rows.

Two products by rows are faster than one by rows and one by columns, which is why the transpose is kept too; int32
indices, because int64 ones cost up to five times the time.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import scipy.sparse
import torch
from torch import Tensor

from ctrecon.errors import OperatorError
from ctrecon.geometry.base import Geometry
from ctrecon.geometry.grid import Grid
from ctrecon.operators.base import HALF_PRECISION, LinearOperator
from ctrecon.operators.footprint import Footprint, footprint
from ctrecon.support.arrays import Array
from ctrecon.support.threads import split

INT32_MAX = int(np.iinfo(np.int32).max)


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
            x = start[ray] + slope[ray] * line
            if not -1.0 <= x < width:
                continue
            # x >= -1, so truncating x + 1 is its floor.
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


@numba.njit(nogil=True, cache=True)
def _fill_transpose(
    by_row: Array, start: Array, slope: Array, length: Array, rows: int, columns: int,
    indptr: Array, indices: Array, data: Array, a: int, b: int,
) -> None:
    """The same entries, pixel by pixel, for the pixels of the image rows ``a..b``; ``indptr`` belongs to pixels.

    Few image rows at a time: their ends, where the next entries go, stay in the processor's cache.
    """
    counting = data.size == 0
    place = np.zeros((b - a) * columns, dtype=np.int64)
    if not counting:
        place[:] = indptr[a * columns : b * columns]
    for ray in range(start.size):
        first, last, width = a, b, columns
        if not by_row[ray]:
            first, last, width = 0, columns, rows
            if slope[ray] != 0.0:
                # Only these columns can be where the ray touches the image rows a..b; a column more on each side.
                one, other = (a - 1 - start[ray]) / slope[ray], (b - start[ray]) / slope[ray]
                first = int(min(max(min(one, other) - 1.0, 0.0), columns))
                last = int(min(max(max(one, other) + 2.0, 0.0), columns))
        for line in range(first, last):
            x = start[ray] + slope[ray] * line
            if not -1.0 <= x < width:
                continue
            k = int(x + 1.0)
            w = x + 1.0 - k
            for side in range(2):
                pixel = k - 1 + side
                weight = w if side == 1 else 1.0 - w
                if pixel < 0 or pixel >= width or weight == 0.0:
                    continue
                row, column = (line, pixel) if by_row[ray] else (pixel, line)
                if row < a or row >= b:
                    continue
                own = (row - a) * columns + column
                if not counting:
                    indices[place[own]] = ray
                    data[place[own]] = length[ray] * weight
                place[own] += 1
    if counting:
        indptr[a * columns + 1 : b * columns + 1] = place


def _flat(table: Footprint) -> list[Array]:
    return [np.ascontiguousarray(t).reshape(-1) for t in (table.by_row, table.start, table.slope, table.length_mm)]


def _stored(
    fill: Callable[..., None], count: int, pieces: int, table: list[Array], grid: Grid, shape: tuple[int, int],
    dtype: npt.DTypeLike,
) -> scipy.sparse.csr_matrix:
    """Count, then fill, on all threads; ``fill`` works on pieces of ``range(count)``."""
    indptr = _counted(fill, count, pieces, table, grid, shape[0])
    entries = int(indptr[-1])
    if entries > INT32_MAX:
        raise OperatorError(f"the matrix would have {entries} entries, more than int32 can count; use joseph")
    indices, data = np.empty(entries, dtype=np.int32), np.empty(entries, dtype=dtype)
    split(count, lambda a, b: fill(*table, *grid.shape, indptr, indices, data, a, b), pieces=pieces)
    return scipy.sparse.csr_matrix((data, indices, indptr.astype(np.int32)), shape=shape, copy=False)


def _counted(
    fill: Callable[..., None], count: int, pieces: int, table: list[Array], grid: Grid, rows: int
) -> npt.NDArray[np.int64]:
    """Where each row's entries begin, ``[rows + 1]``."""
    indptr = np.zeros(rows + 1, dtype=np.int64)
    no_data, no_indices = np.empty(0), np.empty(0, dtype=np.int32)
    split(count, lambda a, b: fill(*table, *grid.shape, indptr, no_indices, no_data, a, b), pieces=pieces)
    np.cumsum(indptr, out=indptr)
    return indptr


def joseph_matrix(
    geometry: Geometry, grid: Grid, dtype: npt.DTypeLike = np.float32
) -> scipy.sparse.csr_matrix:
    """Joseph's weights as a scipy matrix ``[views * detectors, rows * columns]``, in mm.

    Raises OperatorError where int32 cannot count its entries.
    """
    rays, pixels = math.prod(geometry.shape), math.prod(grid.shape)
    return _stored(_fill, rays, 64, _flat(footprint(geometry, grid)), grid, (rays, pixels), dtype)


def joseph_transpose(
    geometry: Geometry, grid: Grid, dtype: npt.DTypeLike = np.float32
) -> scipy.sparse.csr_matrix:
    """The transpose of ``joseph_matrix`` in compressed rows, faster than turning it over."""
    rays, pixels = math.prod(geometry.shape), math.prod(grid.shape)
    pieces = math.ceil(grid.rows / 4)
    return _stored(
        _fill_transpose, grid.rows, pieces, _flat(footprint(geometry, grid)), grid, (pixels, rays), dtype
    )


def matrix_bytes(geometry: Geometry, grid: Grid) -> int:
    """How much memory the matrix and its transpose take in float32, counted on up to sixteen of the views."""
    views = geometry.shape[0]
    step = math.ceil(views / 16)
    some = geometry.views(slice(0, None, step))
    counted = _counted(_fill, math.prod(some.shape), 16, _flat(footprint(some, grid)), grid, math.prod(some.shape))
    entries = int(counted[-1]) * views / some.shape[0]
    rays, pixels = math.prod(geometry.shape), math.prod(grid.shape)
    return int(2 * 8 * entries) + 4 * (rays + pixels + 2)


class SparseOperator(LinearOperator):
    """A stored matrix ``[m, n]`` and its transpose: ``[batch, *domain_shape] -> [batch, *range_shape]``.

    ``matrix`` is any scipy sparse matrix, from ``joseph_matrix`` or the user's own; ``transpose`` spares computing
    it where it is at hand. float32 or float64, any device; ``to`` and ``double`` move and convert both.
    Raises OperatorError where the shapes do not fit the matrix or an entry is not finite.
    """

    def __init__(
        self,
        matrix: scipy.sparse.spmatrix | scipy.sparse.csr_matrix,
        domain_shape: tuple[int, ...],
        range_shape: tuple[int, ...],
        *,
        dtype: torch.dtype = torch.float32,
        transpose: scipy.sparse.csr_matrix | None = None,
    ) -> None:
        super().__init__(domain_shape, range_shape)
        rows, columns = matrix.shape
        if (rows, columns) != (math.prod(range_shape), math.prod(domain_shape)):
            raise OperatorError(
                f"a {rows} x {columns} matrix does not map images {list(domain_shape)} to data {list(range_shape)}"
            )
        csr = scipy.sparse.csr_matrix(matrix)
        if csr.nnz > INT32_MAX:
            raise OperatorError(f"the matrix has {csr.nnz} entries, more than int32 can count")
        if not np.all(np.isfinite(csr.data)):
            raise OperatorError("the matrix holds entries that are not finite")
        if csr.data.dtype not in (np.float32, np.float64):
            csr = csr.astype(np.float64)
        self._matrix = _torch_csr(csr, dtype)
        self._transpose = _torch_csr(scipy.sparse.csr_matrix(csr.T) if transpose is None else transpose, dtype)

    def _settle(self, device: torch.device, dtype: torch.dtype) -> None:
        self._matrix, self._transpose = (one.to(device, dtype) for one in (self._matrix, self._transpose))

    def __getstate__(self) -> dict[str, Any]:
        # Torch neither copies nor pickles its compressed rows, so they go as the arrays they consist of.
        return {**self.__dict__, **{name: _parts(getattr(self, name)) for name in _STORED}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({**state, **{name: csr_tensor(*state[name]) for name in _STORED}})

    def extra_repr(self) -> str:
        return f"{self.nonzeros} entries, {str(self._matrix.dtype).removeprefix('torch.')} on {self._matrix.device}"

    @property
    def nonzeros(self) -> int:
        return int(self._matrix.values().numel())

    def _forward(self, x: Tensor) -> Tensor:
        return product(self._matrix, x, self.range_shape)

    def _adjoint(self, y: Tensor) -> Tensor:
        return product(self._transpose, y, self.domain_shape)

    def _probe(self) -> Tensor:
        return self._matrix.values()[:0]

    def _computed_in(self, dtype: torch.dtype) -> torch.dtype:
        return dtype if dtype not in HALF_PRECISION else self._matrix.dtype


_STORED = ("_matrix", "_transpose")


def _torch_csr(matrix: scipy.sparse.csr_matrix, dtype: torch.dtype) -> Tensor:
    return csr_tensor(
        torch.from_numpy(matrix.indptr.astype(np.int32, copy=False)),
        torch.from_numpy(matrix.indices.astype(np.int32, copy=False)),
        torch.from_numpy(matrix.data).to(dtype),
        matrix.shape,
    )


def _parts(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor, tuple[int, int]]:
    return matrix.crow_indices(), matrix.col_indices(), matrix.values(), (matrix.shape[0], matrix.shape[1])


def csr_tensor(begins: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """A matrix in compressed rows from its three parts, which are taken to be sound."""
    with _beta_notice_unheard():
        return torch.sparse_csr_tensor(begins, columns, values, size=shape, check_invariants=False)


def product(matrix: Tensor, x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """``matrix`` times each of ``x`` ``[batch, ...]`` with its axes flattened: ``[batch, *shape]``.

    Raises OperatorError for another dtype or device than the matrix has.
    """
    if x.dtype != matrix.dtype or x.device != matrix.device:
        raise OperatorError(
            f"this matrix holds {matrix.dtype} on {matrix.device}, got {x.dtype} on {x.device}; "
            "move one of them by .to(device, dtype)"
        )
    batch = x.shape[0]
    if batch == 1:
        return (matrix @ x.reshape(-1)).reshape(1, *shape)
    lanes = x.reshape(batch, -1).T
    if x.device.type == "cuda":
        # By rows, so that one entry of the matrix reads neighbouring numbers of all images.
        lanes = lanes.contiguous()
    return (matrix @ lanes).T.reshape(batch, *shape)


@contextmanager
def _beta_notice_unheard() -> Iterator[None]:
    """Torch says once that its compressed rows are in beta, and unchecked; here they are tested, and sound."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        warnings.filterwarnings("ignore", message="Sparse invariant checks are implicitly disabled")
        yield


def sparse_operator(geometry: Geometry, grid: Grid, *, dtype: torch.dtype = torch.float32) -> SparseOperator:
    """Joseph's matrix pair for a geometry: attenuation in 1/mm to line integrals."""
    numpy_dtype = np.float64 if dtype == torch.float64 else np.float32
    return SparseOperator(
        joseph_matrix(geometry, grid, numpy_dtype),
        (1, *grid.shape),
        (1, *geometry.shape),
        dtype=dtype,
        transpose=joseph_transpose(geometry, grid, numpy_dtype),
    )
