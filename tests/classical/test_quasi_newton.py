"""The parts of the quasi-Newton method: a model of the Hessian, and a memory of steps."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import torch
from classical_cases import BEAM, GRID, image, operator64

from ctrecon.classical.quasi_newton import CirculantModel, Memory
from ctrecon.errors import OperatorError
from ctrecon.operators.sparse import SparseOperator, joseph_matrix


def test_the_circulant_model_is_symmetric_and_positive():
    A = operator64()
    model = CirculantModel(A, image())
    matrix = joseph_matrix(BEAM, GRID, np.float64)
    middle = (GRID.rows // 2) * GRID.columns + GRID.columns // 2
    assert model.column == pytest.approx(np.linalg.norm(matrix[:, [middle]].toarray()), rel=1e-12)
    g = torch.randn((2, 1, *GRID.shape), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    h = torch.randn((2, 1, *GRID.shape), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    rough = torch.tensor([0.1, 30.0], dtype=torch.float64)
    one, other = model.solve(g, rough), model.solve(h, rough)
    torch.testing.assert_close((one * h).flatten(1).sum(1), (other * g).flatten(1).sum(1))
    assert bool(((one * g).flatten(1).sum(1) > 0).all())
    flat = SparseOperator(scipy.sparse.identity(4, format="csr"), (4,), (4,), dtype=torch.float64)
    with pytest.raises(OperatorError, match="images"):
        CirculantModel(flat, torch.ones(1, 4, dtype=torch.float64))


def test_the_memory_inverts_a_quadratic_it_has_seen_in_full():
    generator = torch.Generator().manual_seed(0)
    n, batch = 6, 2
    root = torch.randn(batch, n, n, generator=generator, dtype=torch.float64)
    hessian = root @ root.mT + torch.eye(n, dtype=torch.float64)
    free = torch.ones(batch, 1, 1, n, dtype=torch.float64)
    free[1, ..., :2] = 0
    memory = Memory(n)
    # Steps conjugate on the free pixels: then the implied inverse is the exact one there.
    for b_step in range(n):
        steps = torch.zeros(batch, n, dtype=torch.float64)
        for b in range(batch):
            keep = free[b, 0, 0] > 0
            _, vectors = torch.linalg.eigh(hessian[b][keep][:, keep])
            if b_step < int(keep.sum()):
                steps[b, keep] = vectors[:, b_step]
        memory.add(steps.view(batch, 1, 1, n), (hessian @ steps[..., None]).view(batch, 1, 1, n))
    g = torch.randn(batch, 1, 1, n, generator=generator, dtype=torch.float64)
    got = memory.solve(g, free, lambda q: q)
    for b in range(batch):
        keep = free[b, 0, 0] > 0
        exact = torch.linalg.solve(hessian[b][keep][:, keep], g[b, 0, 0, keep])
        torch.testing.assert_close(got[b, 0, 0, keep], exact)
        assert bool((got[b, 0, 0, ~keep] == 0).all())
    memory.keep(torch.tensor([False, True]))
    torch.testing.assert_close(memory.solve(g[1:], free[1:], lambda q: q), got[1:])
