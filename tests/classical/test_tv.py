"""Huber-TV: its minimiser is that of an interior-point method, and it honours delta with the largest weight."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
import torch
from classical_cases import BEAM, GRID, distance, image, measured, operator64
from torch import Tensor

from ctrecon.classical.cgls import cgls
from ctrecon.classical.tv import minimise_huber_tv, tv_at_discrepancy
from ctrecon.classical.tv_solver import HuberTVSolver, TVResult
from ctrecon.energies.huber_tv import HuberTV, differences, differences_adjoint
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.errors import SettingError
from ctrecon.operators.sparse import SparseOperator, joseph_matrix, sparse_operator
from ctrecon.support.metrics import psnr


def by_cvxpy(f: Tensor, alpha: float, epsilon: float, nonnegative: bool, weights: Tensor | None = None) -> Tensor:
    """One image by an interior-point method, as a convex programme stated from scratch."""
    # In units that make u about 1, for the solver's sake.
    unit = 0.03
    alpha, epsilon, f = alpha / unit, epsilon / unit, f / unit
    matrix = joseph_matrix(BEAM, GRID, np.float64)
    u = cp.Variable(GRID.shape)
    flat = cp.reshape(u, (GRID.rows * GRID.columns,), order="C")
    root = 1.0 if weights is None else np.sqrt(weights.numpy().ravel())
    fit = cp.sum_squares(cp.multiply(root, matrix @ flat - f.numpy().ravel())) / 2
    dx, dy = cp.diff(u, axis=1), cp.diff(u, axis=0)
    inner = cp.norm(cp.vstack([cp.vec(dx[:-1, :], order="C"), cp.vec(dy[:, :-1], order="C")]), 2, axis=0)
    border = cp.hstack([cp.abs(dx[-1, :]), cp.abs(dy[:, -1])])
    # huber(t, M) is t^2 and 2 M t - M^2, so h_eps = huber(t, eps) / (2 eps).
    rough = (cp.sum(cp.huber(inner, epsilon)) + cp.sum(cp.huber(border, epsilon))) / (2 * epsilon)
    problem = cp.Problem(cp.Minimize(fit + alpha * rough), [u >= 0] if nonnegative else [])
    problem.solve(solver=cp.CLARABEL, tol_gap_rel=1e-10, tol_gap_abs=1e-10, tol_feas=1e-10)
    assert problem.status == cp.OPTIMAL
    return unit * torch.from_numpy(np.asarray(u.value))[None, None]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("nonnegative", [True, False])
def test_huber_tv_agrees_with_cvxpy(nonnegative: bool):
    A = operator64()
    truth = image()
    f, sigma = measured(A, truth, 0.03)
    weights = 0.5 + torch.rand(f.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    weights = weights if nonnegative else torch.ones_like(f)
    alpha = torch.tensor([0.3, 1.0, 3.0]) * sigma * 2
    epsilon = torch.tensor([0.001, 0.003, 0.0005], dtype=torch.float64)
    exact = torch.cat(
        [by_cvxpy(f[b], float(alpha[b]), float(epsilon[b]), nonnegative, weights[b]) for b in range(3)]
    )
    fine = minimise_huber_tv(
        A, f, alpha=alpha, epsilon=epsilon, weights=weights, nonnegative=nonnegative, tolerance=1e-6
    )
    assert fine.reason == ("converged",) * 3
    assert float(distance(fine.image, exact).max()) < 1e-5
    # The accuracy asked for is the accuracy given, within a factor 2.
    for tolerance in (1e-2, 1e-3, 1e-4):
        result = minimise_huber_tv(
            A, f, alpha=alpha, epsilon=epsilon, weights=weights, nonnegative=nonnegative, tolerance=tolerance
        )
        assert float(distance(result.image, exact).max()) < 2 * tolerance
    # In float32, as reconstructions run.
    single = minimise_huber_tv(
        sparse_operator(BEAM, GRID), f.float(), alpha=alpha, epsilon=epsilon, weights=weights.float(),
        nonnegative=nonnegative,
    )
    assert float(distance(single.image.double(), exact).max()) < 2e-4
    # Another weight by 3% is another image: the test can fail.
    other = minimise_huber_tv(
        A, f, alpha=1.03 * alpha, epsilon=epsilon, weights=weights, nonnegative=nonnegative, tolerance=1e-6
    )
    assert float(distance(other.image, exact).min()) > 1e-4
    if nonnegative:
        assert bool((fine.image >= 0).all())
        assert bool((fine.image == 0).any())
    else:
        assert bool((fine.image < 0).any())


def kkt_defect(A: SparseOperator, f: Tensor, result: TVResult) -> float:
    """How far the projected gradient is from zero, over the gradient's size at zero."""
    u = result.image
    g = A.adjoint(A(u) - f)
    weight = HuberTV(result.epsilon).weight(differences(u))
    g = g + result.alpha.view(-1, 1, 1, 1) * differences_adjoint(tuple(weight * p for p in differences(u)))
    projected = torch.where(u > 0, g, g.clamp_max(0))
    return float(projected.abs().max() / A.adjoint(f).abs().max())


def test_the_minimiser_does_not_depend_on_start_batch_or_scale():
    A = operator64()
    f, sigma = measured(A, image(), 0.02)
    alpha, epsilon = 2 * sigma, torch.tensor([0.001, 0.002, 0.0005], dtype=torch.float64)
    base = minimise_huber_tv(A, f, alpha=alpha, epsilon=epsilon, tolerance=1e-6)
    assert kkt_defect(A, f, base) < 1e-6
    rough = minimise_huber_tv(A, f, alpha=alpha, epsilon=epsilon, tolerance=1e-6, most_iterations=5)
    assert rough.reason == ("iterations spent",) * 3
    assert kkt_defect(A, f, rough) > 1e-5
    start = torch.rand(f.shape[0], 1, *GRID.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    elsewhere = minimise_huber_tv(A, f, alpha=alpha, epsilon=epsilon, tolerance=1e-6, start=start - 0.5)
    assert float(distance(elsewhere.image, base.image).max()) < 1e-5
    for b in range(3):
        alone = minimise_huber_tv(A, f[b : b + 1], alpha=alpha[b], epsilon=float(epsilon[b]), tolerance=1e-6)
        assert float(distance(alone.image, base.image[b : b + 1]).max()) < 1e-5
    # In other units of attenuation, everything scales.
    scaled = minimise_huber_tv(A, 1e3 * f, alpha=1e3 * alpha, epsilon=1e3 * epsilon, tolerance=1e-6)
    assert float(distance(scaled.image, 1e3 * base.image).max()) < 1e-5
    assert LeastSquares(A, f).at(base.image).discrepancy is not None
    energy = LeastSquares(A, f).at(base.image).value + alpha.double() * HuberTV(epsilon).at(base.image).value
    torch.testing.assert_close(base.value, energy)


def test_huber_tv_of_nothing_and_bad_settings():
    A = operator64()
    zero = torch.zeros(2, 1, *BEAM.shape, dtype=torch.float64)
    assert bool((minimise_huber_tv(A, zero, alpha=1.0, epsilon=0.1).image == 0).all())
    f = A(image())
    for bad in (0.0, -1.0, float("nan"), torch.ones(2)):
        with pytest.raises(SettingError, match="alpha"):
            minimise_huber_tv(A, f, alpha=bad, epsilon=0.1)
        with pytest.raises(SettingError, match="epsilon"):
            minimise_huber_tv(A, f, alpha=1.0, epsilon=bad)
    with pytest.raises(SettingError, match="tolerance"):
        minimise_huber_tv(A, f, alpha=1.0, epsilon=0.1, tolerance=0.0)


@pytest.mark.long
def test_tv_honours_delta_with_the_largest_weight_that_can():
    A = operator64()
    truth = image()
    f, _ = measured(A, truth, 0.03)
    weights = 0.5 + torch.rand(f.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for w in (None, weights):
        delta = LeastSquares(A, f, w).at(truth).discrepancy
        assert delta is not None
        result = tv_at_discrepancy(A, f, delta, weights=w)
        assert result.reason == ("discrepancy met",) * 3
        assert bool((result.discrepancy <= delta).all())
        assert bool((result.discrepancy >= 0.985 * delta).all())
        # It is the discrepancy of the image, and a larger weight would break the bound.
        recomputed = LeastSquares(A, f, w).at(result.image).discrepancy
        torch.testing.assert_close(recomputed, result.discrepancy)
        more = minimise_huber_tv(A, f, alpha=1.2 * result.alpha, epsilon=result.epsilon, weights=w)
        assert bool((more.discrepancy > delta).all())
        assert bool((psnr(result.image, truth) > psnr(cgls(A, f, delta=delta, weights=w).image, truth)).all())


@pytest.mark.long
def test_tv_says_when_no_weight_meets_delta():
    A, truth = operator64(), image()
    f, _ = measured(A, truth, 0.3)
    least = cgls(A, f, most_iterations=400).discrepancy
    best = LeastSquares(A, f).at(truth).discrepancy
    assert best is not None
    # One sample can, two cannot: u >= 0 keeps them from the least-squares fit, let alone below it.
    delta = torch.stack([best[0], 0.9 * least[1], 0.5 * least[2]])
    result = tv_at_discrepancy(A, f, delta)
    assert result.reason == ("discrepancy met", "no weight meets delta", "no weight meets delta")
    assert float(result.discrepancy[1]) < float(best[1])
    # Nor does it run forever where the constant image fits already.
    wide = tv_at_discrepancy(A, f, 10 * torch.linalg.vector_norm(f.flatten(1), dim=1))
    assert wide.reason == ("discrepancy met",) * 3
    for bad in (0.0, -1.0, float("inf")):
        with pytest.raises(SettingError, match="delta"):
            tv_at_discrepancy(A, f, bad)


def test_one_solver_serves_many_data():
    A = operator64()
    f, sigma = measured(A, image(), 0.02)
    solver = HuberTVSolver(A, f)
    for b in range(2):
        one = solver.solve(f[b : b + 1], alpha=2 * sigma[b], epsilon=0.001)
        other = minimise_huber_tv(A, f[b : b + 1], alpha=2 * sigma[b], epsilon=0.001)
        assert float(distance(one.image, other.image)) < 1e-8
