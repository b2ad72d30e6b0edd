"""CGLS, Huber-TV and the oracles: they solve what they say they solve, to the accuracy they say."""

from __future__ import annotations

import math

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse
import torch
from torch import Tensor

from ctrecon.classical.cgls import cgls, cgls_iterates
from ctrecon.classical.oracle import best_cgls, best_fbp, best_huber_tv, seen_by_all
from ctrecon.classical.quasi_newton import CirculantModel, Memory
from ctrecon.classical.tv import minimise_huber_tv, tv_at_discrepancy
from ctrecon.classical.tv_solver import HuberTVSolver, TVResult
from ctrecon.energies.huber_tv import HuberTV, differences, differences_adjoint
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.errors import OperatorError, SettingError
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.operators.sparse import SparseOperator, joseph_matrix, sparse_operator
from ctrecon.support.metrics import psnr

GRID = Grid(rows=16, columns=15, pixel_mm=1.0)


def beam(views: int, cells: int, pixel_mm: float = 1.0) -> FanBeam:
    return FanBeam(
        angles_rad=tuple(np.arange(views) * 2 * math.pi / views),
        detector_count=cells,
        detector_spacing_mm=2 * pixel_mm,
        source_to_axis_mm=4.0 * cells * pixel_mm,
        source_to_detector_mm=8.0 * cells * pixel_mm,
    )


BEAM = beam(12, 18)


@pytest.fixture(autouse=True)
def _one_thread(_seed_and_threads: None) -> None:
    """Images this small gain nothing from a second thread, and much is lost waiting for one on a busy machine."""
    torch.set_num_threads(1)


def image(grid: Grid = GRID, batch: int = 3) -> Tensor:
    """Two rectangles and a disc on nothing, about 0.03 per mm, different in each sample."""
    y, x = np.meshgrid(np.linspace(-1, 1, grid.rows), np.linspace(-1, 1, grid.columns), indexing="ij")
    out = np.zeros((batch, 1, *grid.shape))
    for b in range(batch):
        out[b, 0] += 0.02 * ((np.abs(x) < 0.6) & (np.abs(y + 0.1 * b) < 0.5))
        out[b, 0] += 0.015 * ((np.abs(x - 0.2) < 0.2) & (np.abs(y) < 0.3))
        out[b, 0] += 0.01 * ((x + 0.3) ** 2 + (y - 0.2) ** 2 < 0.04 * (b + 1))
    return torch.from_numpy(out)


def measured(operator: SparseOperator, truth: Tensor, level: float) -> tuple[Tensor, Tensor]:
    """Data with Gaussian noise of ``level`` of their norm, and its standard deviation per sample."""
    clean = operator(truth)
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(clean)
    sigma = level * torch.linalg.vector_norm(clean.flatten(1), dim=1) / math.sqrt(clean[0].numel())
    return clean + sigma.view(-1, 1, 1, 1) * noise, sigma


def operator64() -> SparseOperator:
    return sparse_operator(BEAM, GRID, dtype=torch.float64)


def distance(a: Tensor, b: Tensor) -> Tensor:
    """``||a - b|| / ||b||`` per sample."""
    return torch.linalg.vector_norm((a - b).flatten(1), dim=1) / torch.linalg.vector_norm(b.flatten(1), dim=1)


# CGLS


def test_cgls_reaches_the_least_squares_solution():
    small = Grid(rows=6, columns=7, pixel_mm=1.0)
    A = sparse_operator(beam(16, 10), small, dtype=torch.float64)
    f, _ = measured(A, image(small), 0.05)
    weights = 0.5 + torch.rand(f.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    matrix = joseph_matrix(beam(16, 10), small, np.float64).toarray()
    for w in (None, weights, weights[:1]):
        result = cgls(A, f, most_iterations=300, weights=w)
        for b in range(3):
            root = np.ones(len(matrix)) if w is None else np.sqrt(w.expand_as(f)[b].numpy().ravel())
            exact = np.linalg.lstsq(root[:, None] * matrix, root * f[b].numpy().ravel(), rcond=None)[0]
            np.testing.assert_allclose(result.image[b].numpy().ravel(), exact, rtol=0, atol=1e-8 * np.abs(exact).max())
        assert set(result.reason) == {"stationary"}
    few = cgls(A, f, most_iterations=5)
    assert float(distance(few.image, cgls(A, f, most_iterations=300).image).max()) > 1e-3


def test_cgls_residuals_fall_and_iterates_match_a_restart_from_them():
    A = operator64()
    f, _ = measured(A, image(), 0.02)
    history = [now for now, _ in zip(cgls_iterates(A, f), range(15), strict=False)]
    falls = torch.stack([now.discrepancy for now in history])
    assert bool((falls[1:] <= falls[:-1] * (1 + 1e-12)).all())
    torch.testing.assert_close(history[7].residual, f - A(history[7].image))
    again = next(cgls_iterates(A, f, start=history[7].image))
    torch.testing.assert_close(again.discrepancy, history[7].discrepancy)


def test_cgls_stops_at_the_discrepancy_each_sample_by_itself():
    A = operator64()
    truth = image()
    f, sigma = measured(A, truth, 0.03)
    delta = torch.tensor([1.0, 1.3, 2.0]) * sigma * math.sqrt(f[0].numel())
    together = cgls(A, f, delta=delta)
    assert together.reason == ("discrepancy met",) * 3
    assert bool((together.discrepancy <= delta * (1 + 1e-12)).all())
    assert int(together.iterations[2]) < int(together.iterations[0])
    for b in range(3):
        alone = cgls(A, f[b : b + 1], delta=delta[b])
        assert int(alone.iterations[0]) == int(together.iterations[b])
        torch.testing.assert_close(alone.image, together.image[b : b + 1])
        one_less = cgls(A, f[b : b + 1], most_iterations=int(alone.iterations[0]) - 1)
        assert float(one_less.discrepancy) > float(delta[b])
        assert one_less.reason == ("iterations spent",)


def test_cgls_on_nothing_and_on_bad_settings():
    A = operator64()
    zero = cgls(A, torch.zeros(2, 1, *BEAM.shape, dtype=torch.float64))
    assert bool((zero.image == 0).all())
    assert zero.reason == ("stationary", "stationary")
    f = A(image())
    for bad in (0.0, -1.0, float("nan")):
        with pytest.raises(SettingError, match="delta"):
            cgls(A, f, delta=bad)
    with pytest.raises(SettingError, match="iterations"):
        cgls(A, f, most_iterations=-1)
    with pytest.raises(SettingError, match="weights"):
        cgls(A, f, weights=-torch.ones_like(f))


# The parts of the quasi-Newton method


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


# Huber-TV


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


# Oracles


def test_the_oracle_is_as_good_as_a_fine_grid():
    grid, scanner = Grid(rows=32, columns=32, pixel_mm=1.0), beam(30, 36)
    A = sparse_operator(scanner, grid)
    truth = image(grid).float()
    f, sigma = measured(A, truth, 0.02)
    oracle = best_huber_tv(A, f, truth, sigma=sigma)
    assert not bool(oracle.at_border.any())
    torch.testing.assert_close(psnr(oracle.image, truth), oracle.psnr)
    span = truth.flatten(1).amax(1) - truth.flatten(1).amin(1)
    for epsilon in (0.001, 0.004, 0.016):
        for k in range(-6, 7):
            other = minimise_huber_tv(A, f, alpha=1.25**k * oracle.alpha, epsilon=epsilon * span, tolerance=1e-3)
            assert bool((psnr(other.image, truth) < oracle.psnr + 0.02).all())
    # From weights far off the optimum it widens, and says where it could not.
    far = (6.0, 8.0, 10.0)
    narrow = best_huber_tv(A, f, truth, sigma=sigma, alphas=far, widen=12)
    assert not bool(narrow.at_border.any())
    assert float((narrow.psnr - oracle.psnr).abs().max()) < 0.1
    assert bool(best_huber_tv(A, f, truth, sigma=sigma, alphas=far, epsilons=(0.004,), widen=0).at_border.all())
    gradients, back_projection = best_cgls(A, f, truth), best_fbp(scanner, grid, f, truth)
    for k in range(3):
        assert float(oracle.psnr[k]) > float(gradients.psnr[k]) > 15
        assert float(oracle.psnr[k]) > float(back_projection.psnr[k]) > 15
    again = cgls(A, f, most_iterations=int(gradients.iteration[0])).image
    assert float(psnr(again.clamp_min(0), truth)[0]) == pytest.approx(float(gradients.psnr[0]), abs=1e-3)
    supported = best_cgls(A, f, truth, support=seen_by_all(scanner, grid))
    assert bool((supported.psnr >= gradients.psnr).all())


def test_one_solver_serves_many_data():
    A = operator64()
    f, sigma = measured(A, image(), 0.02)
    solver = HuberTVSolver(A, f)
    for b in range(2):
        one = solver.solve(f[b : b + 1], alpha=2 * sigma[b], epsilon=0.001)
        other = minimise_huber_tv(A, f[b : b + 1], alpha=2 * sigma[b], epsilon=0.001)
        assert float(distance(one.image, other.image)) < 1e-8


def test_psnr():
    truth = torch.tensor([0.0, 1.0, 3.0, 4.0]).view(1, 1, 2, 2)
    assert float(psnr(truth + 0.04, truth)) == pytest.approx(40, abs=1e-4)
    assert float(psnr(truth, truth)) == math.inf
    with pytest.raises(SettingError, match="constant"):
        psnr(truth, torch.ones_like(truth))
    with pytest.raises(SettingError, match="shape"):
        psnr(truth[..., :1], truth)
