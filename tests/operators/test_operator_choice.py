"""What operators refuse, one's own matrices, and which operator is chosen."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import scipy.sparse
import torch
from beams import BEAMS, GRID, both_beams, parallel
from laws import check_operator, random_like

from ctrecon.errors import OperatorError
from ctrecon.geometry.grid import Grid
from ctrecon.operators import sparse
from ctrecon.operators.astra import AstraCpuOperator
from ctrecon.operators.choose import choose_operator
from ctrecon.operators.joseph import JosephOperator
from ctrecon.operators.sparse import SparseOperator, joseph_matrix, matrix_bytes, matrix_fits, sparse_operator


def test_what_operators_refuse() -> None:
    geometry = parallel()
    joseph, matrix = JosephOperator(geometry, GRID), sparse_operator(geometry, GRID)
    astra = AstraCpuOperator(geometry, GRID)
    x = torch.zeros(1, 1, *GRID.shape)
    with pytest.raises(OperatorError, match=r"JosephOperator takes an image of shape \[batch, 1, 13, 18\], got"):
        joseph(x[0])
    with pytest.raises(OperatorError, match=r"floating point values, got torch\.int64; use x\.float"):
        joseph(x.long())
    with pytest.raises(OperatorError, match=r"holds torch\.float32 on cpu, got torch\.float64"):
        matrix(x.double())
    with pytest.raises(OperatorError, match=r"takes float32 on the CPU, got torch\.float64"):
        astra(x.double())
    with pytest.raises(OperatorError, match="works on the CPU, got a tensor on meta"):
        joseph(x.to("meta"))
    with pytest.raises(OperatorError, match="'nonsense'"):
        AstraCpuOperator(geometry, GRID, projector="nonsense")
    with pytest.raises(OperatorError, match="use AstraOperator"):
        AstraCpuOperator(geometry, GRID, projector="cuda")


def test_users_own_matrices() -> None:
    rng = np.random.default_rng(0)
    dense = rng.standard_normal((6, 4)) * (rng.random((6, 4)) < 0.5)
    for form in (scipy.sparse.csr_matrix, scipy.sparse.csc_matrix, scipy.sparse.coo_matrix):
        operator = SparseOperator(form(dense), (1, 2, 2), (1, 2, 3), dtype=torch.float64)
        x = random_like((3, 1, 2, 2), 0)
        torch.testing.assert_close(operator(x).reshape(3, 6), x.reshape(3, 4) @ torch.from_numpy(dense).T)
        check_operator(operator)
    with pytest.raises(OperatorError, match="a 6 x 4 matrix does not map"):
        SparseOperator(scipy.sparse.csr_matrix(dense), (1, 2, 3), (1, 2, 3))
    dense[0, 0] = np.nan
    with pytest.raises(OperatorError, match="not finite"):
        SparseOperator(scipy.sparse.csr_matrix(dense), (1, 2, 2), (1, 2, 3))
    integers = SparseOperator(scipy.sparse.csr_matrix(np.eye(4, dtype=np.int64)), (1, 2, 2), (1, 2, 2))
    assert torch.equal(integers(torch.ones(1, 1, 2, 2)), torch.ones(1, 1, 2, 2))


def test_the_operator_is_chosen_by_size() -> None:
    small, large = parallel(60, 21), parallel(60, 700, spacing=0.1)
    grid = Grid(rows=600, columns=600, pixel_mm=0.1)
    assert isinstance(choose_operator(small, GRID), SparseOperator)
    assert isinstance(choose_operator(small, GRID, uses="few"), JosephOperator)
    assert isinstance(choose_operator(small, GRID, memory_budget_bytes=1000), JosephOperator)
    assert isinstance(choose_operator(large, grid), JosephOperator)
    assert isinstance(choose_operator(small, GRID, name="joseph"), JosephOperator)
    assert isinstance(choose_operator(small, GRID, name="sparse", memory_budget_bytes=0), SparseOperator)
    for dtype in (torch.float32, torch.float64):
        x = torch.rand(1, 1, *GRID.shape, dtype=dtype)
        assert choose_operator(small, GRID, dtype=dtype)(x).dtype == dtype
    with pytest.raises(OperatorError, match="no operator 'best'; use sparse, joseph or astra"):
        choose_operator(small, GRID, name="best")  # type: ignore[arg-type]
    with pytest.raises(OperatorError, match="joseph works on the CPU only"):
        choose_operator(small, GRID, name="joseph", device="cuda")
    with pytest.raises(OperatorError, match="astra works in float32 only"):
        choose_operator(small, GRID, name="astra", dtype=torch.float64)


@both_beams
def test_the_size_of_the_matrix_is_known_beforehand(beam: str) -> None:
    geometry, grid = BEAMS[beam](100, 60), Grid(rows=50, columns=40, pixel_mm=0.3)
    matrix = joseph_matrix(geometry, grid)
    pair = [matrix, matrix.T.tocsr()]
    true = sum(m.data.nbytes + m.indices.nbytes + m.indptr.nbytes for m in pair)
    assert matrix_bytes(geometry, grid) == pytest.approx(true, rel=0.02)
    # Whether it fits is the same question, also where nothing need be counted.
    size = matrix_bytes(geometry, grid)
    assert [matrix_fits(geometry, grid, size + more) for more in (-1, 0, 1, 10 * size)] == [False, True, True, True]
    assert not matrix_fits(geometry, grid, 0)


@both_beams
def test_nothing_is_counted_where_no_matrix_could_be_too_large(beam: str, monkeypatch: pytest.MonkeyPatch) -> None:
    geometry, grid = BEAMS[beam](100, 60), Grid(rows=50, columns=40, pixel_mm=0.3)
    monkeypatch.setattr(sparse, "_estimated_entries", lambda *_: pytest.fail("rays were counted"))
    assert matrix_fits(geometry, grid, 100 * 60 * 50 * 2 * 16 + 4 * (100 * 60 + 50 * 40 + 2))
    assert joseph_matrix(geometry, grid).nnz > 0
    with pytest.raises(pytest.fail.Exception, match="rays were counted"):
        matrix_fits(geometry, grid, 100 * 60 * 50)
