"""Where delta cannot be met: the bound is a bound and close to the optimum, and the product says so and proves it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import cvxpy
import numpy as np
import pytest
import torch
from click.testing import CliRunner

from ctrecon.certificates.verify import check
from ctrecon.classical.box import fit_in_box
from ctrecon.cli.main import cli
from ctrecon.delta import Delta
from ctrecon.descent.descend import descend
from ctrecon.descent.directions import NegativeGradient
from ctrecon.descent.stopping import Excluded, Reason
from ctrecon.energies.box_bound import BoxBound
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.errors import SettingError
from ctrecon.geometry import ImageGrid, ParallelBeam
from ctrecon.io.arrays import write_scan
from ctrecon.operators.sparse import SparseOperator, joseph_matrix
from ctrecon.problem import prepare
from ctrecon.reconstruction import conclude, conjugate_gradients, gradient_descent
from ctrecon.scan import Scan

GRID = ImageGrid(rows=10, columns=10, pixel_mm=0.8)
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
    fit = fit_in_box(energy(data, weights), low, high, most_iterations=3000)
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


def test_a_descent_ends_with_the_reason_infeasible_and_only_where_that_is_true() -> None:
    data = noisy(5)
    one = energy(data)
    best = oracle(data, None, 0.0, 0.2)
    bound = BoxBound(one, 0.0, 0.2)
    start = torch.zeros((1, 1, *GRID.shape), dtype=torch.float64)
    for share, reason in ((0.5, Reason.INFEASIBLE), (1.01, Reason.BUDGET)):
        *_, last = descend(one, NegativeGradient(), start, stop=(Excluded(share * best, bound),), most_iterations=200)
        assert last.reasons == (reason,)
    assert last.k == 200


@pytest.mark.parametrize("method", [gradient_descent, conjugate_gradients])
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
    outcome = method(problem, most_iterations=100)
    result = conclude(problem, outcome)
    assert not result.certified
    assert result.missed is not None
    assert result.missed.certificate is not None
    assert result.outcome.reason == "infeasible"
    assert 0.97 * best <= result.missed.lower_bound <= best <= result.missed.best_residual <= 1.02 * best
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
    arguments += ["-o", "u.npy"]
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
    assert "most attenuation" in bad.output
