"""Where delta cannot be met: the bound is a bound and close to the optimum, and the product says so and proves it."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cvxpy
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from ctrecon.certificates.verify import check
from ctrecon.classical.box import Proving, fit_in_box
from ctrecon.cli.main import cli
from ctrecon.energies.box_bound import BoxBound, Mixture
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.errors import SettingError
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.io.write import write_scan
from ctrecon.measurement.delta import Delta
from ctrecon.measurement.scan import Scan
from ctrecon.operators.sparse import SparseOperator, joseph_matrix
from ctrecon.phantoms.families.head import Head
from ctrecon.reconstruction.conclude import conclude
from ctrecon.reconstruction.methods.cgls import cgls
from ctrecon.reconstruction.methods.gradient import gradient
from ctrecon.reconstruction.problem import prepare
from ctrecon.simulation.simulate import simulate, standard_scanner

GRID = Grid(rows=10, columns=10, pixel_mm=0.8)
BEAM = ParallelBeam(angles_rad=tuple((np.pi * np.arange(20) / 20).tolist()), detector_count=14, detector_spacing_mm=0.8)
MATRIX = joseph_matrix(BEAM, GRID, np.float64)


def noisy(seed: int, noise: float = 0.3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    truth = np.maximum(rng.normal(size=GRID.shape), 0) * 0.1
    return (MATRIX @ truth.ravel() + noise * rng.normal(size=MATRIX.shape[0])).reshape(BEAM.shape)


def energy(data: np.ndarray, weights: np.ndarray | None = None) -> LeastSquares:
    operator = SparseOperator(MATRIX, (1, *GRID.shape), (1, *BEAM.shape), dtype=torch.float64)
    w = None if weights is None else torch.from_numpy(weights)[None, None]
    return LeastSquares(operator, torch.from_numpy(data)[None, None], w)


def oracle(data: np.ndarray, weights: np.ndarray | None, low: float, high: float) -> float:
    root = np.ones(data.size) if weights is None else np.sqrt(weights.ravel())
    u = cvxpy.Variable(MATRIX.shape[1])
    misfit = cvxpy.norm(cvxpy.multiply(root, MATRIX @ u - data.ravel()))
    return float(cvxpy.Problem(cvxpy.Minimize(misfit), [u >= low, u <= high]).solve(solver=cvxpy.CLARABEL))


@pytest.mark.parametrize("whitened", [False, True])
@pytest.mark.parametrize(("low", "high"), [(0.0, 0.15), (0.0, 50.0), (-0.02, 0.05)])
def test_the_bound_is_within_one_percent_of_the_optimum(low: float, high: float, whitened: bool) -> None:
    data = noisy(1)
    weights = np.random.default_rng(2).uniform(0.1, 10, data.shape) if whitened else None
    best = oracle(data, weights, low, high)
    fit = fit_in_box(energy(data, weights), low, high, most_iterations=300)
    assert fit.bound <= best * (1 + 1e-6)
    assert fit.bound >= 0.99 * best
    assert best * (1 - 1e-6) <= fit.misfit <= best * 1.01
    assert float(fit.image.min()) >= low
    assert float(fit.image.max()) <= high


def test_every_image_gives_a_bound_and_none_exceeds_the_optimum() -> None:
    data, rng = noisy(3), np.random.default_rng(4)
    one = energy(data)
    best, bound = oracle(data, None, 0.0, 0.2), BoxBound(one, 0.0, 0.2)
    found = []
    for scale in (0.0, 0.02, 0.1, 1.0):
        point = one.at(torch.from_numpy(scale * rng.normal(size=(1, 1, *GRID.shape))))
        assert point.residual is not None
        value, y = bound(point.residual, point.gradient)
        s = MATRIX.T @ y.numpy().ravel()
        again = (float((y.numpy().ravel() * data.ravel()).sum()) - np.maximum(0, 0.2 * s).sum()) / float(y.norm())
        assert value == pytest.approx(again, rel=1e-9)
        found.append(value)
    assert max(found) <= best * (1 + 1e-9)
    with pytest.raises(SettingError, match="box"):
        BoxBound(one, 1.0, 0.0)


def test_a_mixture_of_images_bounds_no_worse_than_the_last_and_never_beyond_the_optimum() -> None:
    data = noisy(5)
    one = energy(data)
    best, bound = oracle(data, None, 0.0, 0.2), BoxBound(one, 0.0, 0.2)
    mixture, u = Mixture(bound), torch.zeros((1, 1, *GRID.shape), dtype=torch.float64)
    for _ in range(40):
        point = one.at(u)
        assert point.residual is not None
        mixture.add(point.residual, point.gradient)
        alone, (mixed, y) = bound(point.residual, point.gradient, evaluations=20)[0], mixture.best()
        s = MATRIX.T @ y.numpy().ravel()
        again = (float((y.numpy().ravel() * data.ravel()).sum()) - np.maximum(0, 0.2 * s).sum()) / float(y.norm())
        assert mixed == pytest.approx(again, rel=1e-9)
        assert alone <= mixed <= best * (1 + 1e-9)
        u = (u - point.gradient / one.lipschitz).clamp(0.0, 0.2)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("whitened", [False, True])
def test_the_bound_is_tight_on_a_realistic_scan(whitened: bool) -> None:
    geometry, grid = standard_scanner("fan", 64, 90)
    scan = simulate(Head(), geometry, grid, relative_noise=0.02, seed=0).scan
    delta = Delta(value=1e-6, norm="2-norm", how="beyond reach")
    if whitened:
        variance = np.exp(scan.sinogram - scan.sinogram.max()).astype(np.float32)
        scan, delta = replace(scan, variance=variance), replace(delta, norm="whitened")
    problem = prepare(scan, delta)
    told: list[Proving] = []
    fit = fit_in_box(problem.energy, 0.0, problem.most_attenuation, watch=told.append)
    assert 0.985 * fit.misfit <= fit.bound <= fit.misfit
    assert fit.iterations <= 100
    # The residual of the best image by itself proves less than the mixture of the last ones.
    point = problem.energy.at(fit.image)
    assert point.residual is not None
    alone, _ = BoxBound(problem.energy, 0.0, problem.most_attenuation)(point.residual, point.gradient)
    assert alone < 0.98 * fit.misfit
    # The law fails where the fit is cut short, so it is no accident of the bound.
    short = fit_in_box(problem.energy, 0.0, problem.most_attenuation, most_iterations=15)
    assert short.bound < 0.95 * short.misfit
    assert [now.iteration for now in told] == sorted({now.iteration for now in told})
    assert all(a.bound <= b.bound for a, b in pairwise(told))
    assert told[-1].bound == fit.bound


@pytest.mark.parametrize("share", [0.995, 1.005])
def test_a_hair_below_the_optimum_is_proved_and_a_hair_above_it_is_met(share: float) -> None:
    data = noisy(9)
    best = oracle(data, None, 0.0, 0.2)
    fit = fit_in_box(energy(data), 0.0, 0.2, delta=share * best, closeness=1e-4, most_iterations=1000)
    assert (fit.bound > share * best) == (share < 1)
    assert (fit.misfit <= share * best) == (share > 1)


@pytest.mark.parametrize("case", ["no data", "a point for a box", "a start outside", "an unseen middle"])
def test_boxes_and_data_at_the_edge(case: str) -> None:
    data = np.zeros_like(noisy(1)) if case == "no data" else noisy(1)
    low, high = (0.05, 0.05) if case == "a point for a box" else (0.0, 0.2)
    start = torch.full((1, 1, *GRID.shape), 1e6, dtype=torch.float64) if case == "a start outside" else None
    one = energy(data)
    if case == "an unseen middle":
        matrix = MATRIX.tolil()
        matrix[:, [44, 45, 54, 55]] = 0
        one = LeastSquares(
            SparseOperator(matrix.tocsr(), (1, *GRID.shape), (1, *BEAM.shape), dtype=torch.float64), one.data
        )
    fit = fit_in_box(one, low, high, start=start, most_iterations=400)
    assert low <= float(fit.image.min()) <= float(fit.image.max()) <= high
    assert 0.985 * fit.misfit <= fit.bound <= fit.misfit * (1 + 1e-9)


def test_what_only_negative_pixels_explain_is_certified_and_not_stopped_as_infeasible() -> None:
    u = np.zeros(GRID.shape)
    u[3:7, 3:7], u[5, 5] = 0.1, -0.3
    data = (MATRIX @ u.ravel()).reshape(BEAM.shape)
    delta = 0.5 * oracle(data, None, 0.0, 0.4)
    assert delta > 0.01
    scan = Scan(sinogram=data.astype(np.float32), geometry=BEAM, grid=GRID)
    problem = prepare(scan, Delta(value=delta, norm="2-norm", how="half of what the box allows"), most_attenuation=0.4)
    outcome = gradient(problem)
    assert conclude(problem, outcome).certified
    # An image that stays in the box ends with the proof for the same scan.
    boxed = conclude(problem, replace(outcome, image=np.maximum(outcome.image, 0)))
    assert boxed.missed is not None
    assert boxed.missed.certificate is not None


@pytest.mark.sampled(3)
@pytest.mark.parametrize("method", [gradient, cgls])
@pytest.mark.parametrize("kind", ["2-norm", "whitened", "matrix"])
def test_what_misses_delta_is_concluded_with_a_proof(method, kind, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    data = noisy(6).astype(np.float32)
    variance = np.random.default_rng(7).uniform(0.1, 1, data.shape).astype(np.float32)
    if kind == "matrix":
        scan = Scan(sinogram=data, matrix=joseph_matrix(BEAM, GRID))
    else:
        scan = Scan(sinogram=data, geometry=BEAM, grid=GRID, variance=variance if kind == "whitened" else None)
    weights = 1 / variance.astype(np.float64) if kind == "whitened" else None
    most = 0.4
    best = oracle(data.astype(np.float64), weights, 0.0, most)
    norm = "whitened" if kind == "whitened" else "2-norm"
    problem = prepare(scan, Delta(value=0.5 * best, norm=norm, how="half the optimum"), most_attenuation=most)
    outcome = method(problem, iterations=100)
    result = conclude(problem, outcome)
    assert not result.certified
    assert result.missed is not None
    assert result.missed.certificate is not None
    assert result.outcome.reason == "infeasible"
    assert 0.985 * best <= result.missed.lower_bound <= best <= result.missed.best_residual <= 1.02 * best
    paths = result.missed.certificate.write(tmp_path / "s.npy")
    assert not (tmp_path / "s.npy").exists()
    verdict = check(paths[""])
    assert verdict.valid, verdict.reason
    assert verdict.kind == "infeasible"
    # Above the optimum there is nothing to prove.
    problem = replace(problem, delta=replace(problem.delta, value=1.01 * best))
    assert conclude(problem, replace(outcome, image=outcome.image * 0)).missed.certificate is None  # type: ignore[union-attr]


def test_reconstruct_writes_the_proof_and_exits_with_3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_scan("scan.npz", Scan(sinogram=noisy(8).astype(np.float32), geometry=BEAM, grid=GRID))
    arguments = ["reconstruct", "scan.npz", "--method", "gradient", "--iterations", "100", "--no-preview"]
    arguments += ["-o", "u.npy", "--overwrite"]
    result = CliRunner().invoke(cli, [*arguments, "--delta", "1.0"])
    assert result.exit_code == 3, result.output
    assert "infeasible" in result.output
    assert "smallest delta not excluded" in result.output
    files = {"scan.npz", "u.npy", "u.certificate.json", "u.data.npy", "u.dual.npy", "u.history.json"}
    assert {path.name for path in tmp_path.iterdir()} == files
    said = CliRunner().invoke(cli, ["verify", "u.certificate.json"])
    assert said.exit_code == 0
    assert "for all images 0.0 <= u <=" in said.output
    boxed = [*arguments, "--delta", "1.0", "--most-attenuation", "0.5", "--json"]
    facts = json.loads(CliRunner().invoke(cli, boxed).output)
    assert facts["status"] == "infeasible"
    assert facts["most_attenuation"] == 0.5
    assert 1.0 < facts["smallest_delta_not_excluded"] <= facts["best_residual_in_box"]
    # What is met afterwards leaves nothing of the proof.
    assert CliRunner().invoke(cli, [*arguments, "--delta", f"{facts['best_residual_in_box'] * 1.3}"]).exit_code == 0
    assert not (tmp_path / "u.dual.npy").exists()
    assert CliRunner().invoke(cli, ["verify", "u.certificate.json"]).exit_code == 0
    bad = CliRunner().invoke(cli, [*arguments, "--most-attenuation", "-1"])
    assert bad.exit_code == 2
    assert "most_attenuation must" in bad.output
