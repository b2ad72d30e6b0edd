"""The operator as a stored matrix and its transpose, both in compressed rows.

Two products by rows are faster than one by rows and one by columns, which is why the transpose is kept too; int32
indices, because int64 ones cost up to five times the time.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

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
from ctrecon.operators.joseph_entries import Entries, joseph_entries
from ctrecon.support.threads import split

INT32_MAX = int(np.iinfo(np.int32).max)


# Crossings that are computed in one go: what arises on the way stays in the processor's caches.
_AT_ONCE = 1 << 16


def joseph_matrix(geometry: Geometry, grid: Grid, dtype: npt.DTypeLike = np.float32) -> scipy.sparse.csr_matrix:
    """Joseph's weights as a matrix in compressed rows.

    Args:
        geometry: Of the scan.
        grid: Of the image.
        dtype: Of the entries, which are in mm.

    Returns:
        ``[views * detectors, rows * columns]``, int32 indices; its transpose in compressed rows is ``.T.tocsr()``.

    Raises:
        OperatorError: Where int32 cannot count its entries.
    """
    rays, pixels = math.prod(geometry.shape), math.prod(grid.shape)
    if _most_entries(geometry, grid) > INT32_MAX and (about := _estimated_entries(geometry, grid)) > INT32_MAX:
        raise OperatorError(f"the matrix would have about {about} entries, more than int32 can count; use joseph")
    whole = _all_entries(geometry, grid, dtype)
    ends = np.concatenate([np.zeros(1, np.int64), *(part.counts for part in whole)]).cumsum()
    columns, values = (np.concatenate([part[k] for part in whole]) for k in (1, 2))
    return scipy.sparse.csr_matrix((values, columns, ends.astype(np.int32)), shape=(rays, pixels), copy=False)


def _all_entries(geometry: Geometry, grid: Grid, dtype: npt.DTypeLike) -> list[Entries]:
    """Of all rays in their order, on all threads."""
    table = footprint(geometry, grid)
    by_row = table.by_row.reshape(-1)
    start, slope, length = (part.reshape(-1) for part in (table.start, table.slope, table.length_mm))
    step = max(1, _AT_ONCE // max(grid.shape))
    parts: dict[int, Entries] = {}

    def work(first: int, last: int) -> None:
        for k in range(first, last):
            some = slice(k * step, (k + 1) * step)
            parts[k] = joseph_entries(Footprint(by_row[some], start[some], slope[some], length[some]), grid, dtype)

    split(math.ceil(by_row.size / step), work)
    return [parts[k] for k in sorted(parts)]


def _estimated_entries(geometry: Geometry, grid: Grid) -> int:
    """Counted on up to sixteen of the views."""
    views = geometry.shape[0]
    some = geometry.views(slice(0, None, math.ceil(views / 16)))
    counted = sum(int(part.counts.sum()) for part in _all_entries(some, grid, np.float32))
    return counted * views // some.shape[0]


def _most_entries(geometry: Geometry, grid: Grid) -> int:
    """No ray has more: two on each line it crosses."""
    return 2 * math.prod(geometry.shape) * max(grid.shape)


def matrix_fits(geometry: Geometry, grid: Grid, budget_bytes: int) -> bool:
    """Whether ``matrix_bytes`` is at most ``budget_bytes``; nothing is counted where it cannot be more.

    Args:
        geometry: Of the scan.
        grid: Of the image.
        budget_bytes: For the matrix and its transpose.

    Returns:
        What ``matrix_bytes(geometry, grid) <= budget_bytes`` says.
    """
    most = _bytes(geometry, grid, _most_entries(geometry, grid))
    return most <= budget_bytes or matrix_bytes(geometry, grid) <= budget_bytes


def matrix_bytes(geometry: Geometry, grid: Grid) -> int:
    """How much memory the matrix and its transpose take in float32, within a few percent.

    Args:
        geometry: Of the scan.
        grid: Of the image.

    Returns:
        Bytes, estimated without computing the matrix.
    """
    return _bytes(geometry, grid, _estimated_entries(geometry, grid))


def _bytes(geometry: Geometry, grid: Grid, entries: int) -> int:
    return 2 * 8 * entries + 4 * (math.prod(geometry.shape) + math.prod(grid.shape) + 2)


class SparseOperator(LinearOperator):
    """A stored matrix ``[m, n]`` and its transpose: ``[batch, *domain_shape] -> [batch, *range_shape]``.

    ``matrix`` is any scipy sparse matrix, from ``joseph_matrix`` or the user's own; ``transpose`` spares computing
    it where it is at hand. Where ``few`` products will follow, it costs as much as ten of them and is not made: on the
    CPU the adjoint then goes by the columns of the matrix, an eighth slower and on one thread. float32 or float64, any
    device; ``to`` and ``double`` move and convert both.
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
        few: bool = False,
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
        if few and transpose is None:
            self._transpose: Tensor | None = None
        else:
            self._transpose = _torch_csr(scipy.sparse.csr_matrix(csr.T) if transpose is None else transpose, dtype)

    def _settle(self, device: torch.device, dtype: torch.dtype) -> None:
        if self._transpose is None and device.type != "cpu":
            self._transpose = _torch_csr(scipy.sparse.csr_matrix(self._by_columns()), self._matrix.dtype)
        self._matrix = self._matrix.to(device, dtype)
        if self._transpose is not None:
            self._transpose = self._transpose.to(device, dtype)

    def __getstate__(self) -> dict[str, Any]:
        # Torch neither copies nor pickles its compressed rows, so they go as the arrays they consist of.
        stored = {name: getattr(self, name) for name in _STORED}
        return {**self.__dict__, **{name: None if one is None else csr_parts(one) for name, one in stored.items()}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        parts = {name: state[name] for name in _STORED}
        stored = {name: None if one is None else csr_tensor(*one) for name, one in parts.items()}
        self.__dict__.update({**state, **stored})

    def extra_repr(self) -> str:
        return f"{self.nonzeros} entries, {str(self._matrix.dtype).removeprefix('torch.')} on {self._matrix.device}"

    @property
    def nonzeros(self) -> int:
        return int(self._matrix.values().numel())

    def _forward(self, x: Tensor) -> Tensor:
        return product(self._matrix, x, self.range_shape)

    def _adjoint(self, y: Tensor) -> Tensor:
        if self._transpose is not None:
            return product(self._transpose, y, self.domain_shape)
        _check_alike(self._matrix, y)
        # By scipy: torch's own product by columns is a hundred times slower than by rows.
        lanes = self._by_columns() @ _normal(y).reshape(y.shape[0], -1).numpy().T
        return torch.from_numpy(np.ascontiguousarray(lanes.T)).reshape(y.shape[0], *self.domain_shape)

    def _by_columns(self) -> scipy.sparse.csc_matrix:
        """The transpose, of the very numbers of the matrix."""
        begins, columns, values, (rows, pixels) = csr_parts(self._matrix)
        parts = (values.numpy(), columns.numpy(), begins.numpy())
        return scipy.sparse.csc_matrix(parts, shape=(pixels, rows), copy=False)

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


def csr_parts(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor, tuple[int, int]]:
    """What ``csr_tensor`` makes the matrix of."""
    return matrix.crow_indices(), matrix.col_indices(), matrix.values(), (matrix.shape[0], matrix.shape[1])


def csr_tensor(begins: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """A matrix in compressed rows from its three parts, which are taken to be sound."""
    with _beta_notice_unheard():
        return torch.sparse_csr_tensor(begins, columns, values, size=shape, check_invariants=False)


def product(matrix: Tensor, x: Tensor, shape: tuple[int, ...]) -> Tensor:
    """``matrix`` times each of ``x`` ``[batch, ...]`` with its axes flattened: ``[batch, *shape]``.

    Raises OperatorError for another dtype or device than the matrix has.
    """
    _check_alike(matrix, x)
    batch, x = x.shape[0], _normal(x)
    if batch == 1:
        return (matrix @ x.reshape(-1)).reshape(1, *shape)
    lanes = x.reshape(batch, -1).T
    if x.device.type == "cuda":
        # By rows, so that one entry of the matrix reads neighbouring numbers of all images.
        lanes = lanes.contiguous()
    return (matrix @ lanes).T.reshape(batch, *shape)


def _normal(x: Tensor) -> Tensor:
    """With 0 for numbers too small to be normal, which take a product three times as long (``support/threads.py``)."""
    return torch.nn.functional.hardshrink(x, torch.finfo(x.dtype).tiny) if x.device.type == "cpu" else x


def _check_alike(matrix: Tensor, x: Tensor) -> None:
    if x.dtype != matrix.dtype or x.device != matrix.device:
        raise OperatorError(
            f"this matrix holds {matrix.dtype} on {matrix.device}, got {x.dtype} on {x.device}; "
            "move one of them by .to(device, dtype)"
        )


_FILTERS = Lock()


@contextmanager
def _beta_notice_unheard() -> Iterator[None]:
    """Torch says, once or each time, that its compressed rows are in beta; here they are tested, and sound.

    One thread at a time, since Python's filters of warnings are those of all.
    """
    with _FILTERS, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        yield


def sparse_operator(
    geometry: Geometry, grid: Grid, *, dtype: torch.dtype = torch.float32, few: bool = False
) -> SparseOperator:
    """Joseph's matrix and its transpose as an operator: attenuation in 1/mm to line integrals.

    Args:
        geometry: Of the scan.
        grid: Of the image.
        dtype: float32 or float64.
        few: Where so few products will follow that the transpose does not pay.

    Returns:
        ``[batch, 1, rows, columns] -> [batch, 1, views, detectors]``.

    Raises:
        OperatorError: Where int32 cannot count the matrix's entries.
    """
    matrix = joseph_matrix(geometry, grid, np.float64 if dtype == torch.float64 else np.float32)
    return SparseOperator(matrix, (1, *grid.shape), (1, *geometry.shape), dtype=dtype, few=few)
