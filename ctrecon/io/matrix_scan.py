"""A measurement given by its matrix: sparse ``A`` and sinogram ``m``, without a geometry.

The layout of the Finnish walnut (K. Hämäläinen, L. Harhanen, A. Kallonen, A. Kujanpää, E. Niemi, S. Siltanen,
Tomographic X-ray data of a walnut, arXiv:1502.04064): ``m`` is ``[detectors, views]`` and ``A`` maps the image, stacked
by columns as MATLAB does, to ``m`` stacked by columns.

Our own ``.npz`` files hold a matrix as its three arrays of compressed rows, in our own order.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from scipy import sparse

from ctrecon.errors import InputError
from ctrecon.io.matlab import MatFile5, MatFile73
from ctrecon.io.measured import Measured
from ctrecon.support.arrays import Array
from ctrecon.support.limits import MAX_BYTES, as_rays

MATRIX_PARTS = ("matrix_data", "matrix_indices", "matrix_indptr", "matrix_columns")


def csr_from_parts(
    path: Path, data: Array, indices: Array, indptr: Array, columns: Array, rays: int
) -> sparse.csr_matrix:
    """The matrix ``[rays, columns]`` of its compressed rows. Raises InputError where they do not fit together."""
    whole = indices.dtype.kind in "iu" and indptr.dtype.kind in "iu" and columns.dtype.kind in "iu"
    if not whole or columns.size != 1 or not 0 < int(columns.reshape(())) < 2**31:
        raise InputError(f"{path}: the parts of its matrix are not those of compressed rows; write the scan again")
    width = int(columns.reshape(()))
    fits = (
        data.ndim == indices.ndim == indptr.ndim == 1
        and data.size == indices.size
        and indptr.size == rays + 1
        and int(indptr[0]) == 0
        and int(indptr[-1]) == data.size
        and bool((np.diff(indptr.astype(np.int64)) >= 0).all())
        and (data.size == 0 or (int(indices.min()) >= 0 and int(indices.max()) < width))
    )
    if not fits:
        raise InputError(
            f"{path}: its matrix has indices outside its shape, {rays} rays by {width} pixels; write the scan again"
        )
    return sparse.csr_matrix((data, indices, indptr), shape=(rays, width))


def read_matrix_scan(file: MatFile5 | MatFile73) -> Measured:
    """Rows and columns of ``A`` come in C order: rays ``[views, detectors]``, pixels ``[rows, columns]``.

    Raises InputError where ``A`` and ``m`` do not fit, or the image is not square.
    """
    A = file.sparse("A")
    m = as_rays(file.path, "m", file.read("m"))
    if A.shape[0] != m.size:
        raise InputError(
            f"{file.path}: A has {A.shape[0]} rows, the sinogram m {m.size} values {m.shape}; they must belong together"
        )
    side = math.isqrt(A.shape[1])
    if side * side != A.shape[1] or side == 0:
        raise InputError(
            f"{file.path}: A has {A.shape[1]} columns, not the square of a whole number, so the image is not square; "
            "store A for a square image"
        )
    if A.nnz * 12 > MAX_BYTES:
        raise InputError(f"{file.path}: A holds {A.nnz} entries, too many; bin the data first")
    # MATLAB numbers the pixels down the columns; here they run along the rows.
    by_rows = np.arange(A.shape[1]).reshape(side, side).T.ravel()
    matrix = A[:, by_rows].tocsr()
    matrix.sort_indices()
    if min(m.shape) == 1:
        sinogram, shape_note = m.reshape(1, -1), "m is a vector: all rays stand as one view"
    else:
        sinogram, shape_note = np.ascontiguousarray(m.T), f"m is read as {m.shape[0]} detectors by {m.shape[1]} views"
    notes = (f"the matrix A of the file is the operator, its {side} x {side} pixels stacked by columns", shape_note)
    return Measured(sinogram=sinogram, matrix=matrix, notes=notes)
