"""The whole line from Python: every kind of scan and method, and the guarantee under a network that knows nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ctrecon.certificates.verify import check
from ctrecon.classical.fbp import SMOOTHEST_FIRST, FilteredBackProjection
from ctrecon.errors import InputError, SettingError
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.measurement.delta import Delta, delta_for
from ctrecon.measurement.scan import Scan
from ctrecon.networks.unet import UNet, UNetShape
from ctrecon.operators.sparse import joseph_matrix
from ctrecon.phantoms import FAMILIES
from ctrecon.reconstruction.conclude import conclude
from ctrecon.reconstruction.methods.cgls import cgls
from ctrecon.reconstruction.methods.energy import energy
from ctrecon.reconstruction.methods.fbp import fbp
from ctrecon.reconstruction.methods.gradient import gradient
from ctrecon.reconstruction.methods.huber_tv import huber_tv
from ctrecon.reconstruction.problem import IterationRecord, Outcome, prepare
from ctrecon.simulation.simulate import simulate
from ctrecon.simulation.simulated import Simulated

SIZE = 40
GRID = Grid(rows=SIZE, columns=SIZE, pixel_mm=0.8)
PARALLEL = ParallelBeam(
    angles_rad=tuple(np.linspace(0.3, 0.3 + np.pi, 40, endpoint=False)),
    detector_count=49,
    detector_spacing_mm=0.9,
    detector_offset_mm=0.7,
)
FAN = FanBeam(
    angles_rad=tuple(np.linspace(0, 2 * np.pi, 50, endpoint=False)),
    detector_count=48,
    detector_spacing_mm=1.6,
    detector_offset_mm=-1.0,
    source_to_axis_mm=90.0,
    source_to_detector_mm=170.0,
)


def random_network(seed: int = 0) -> UNet:
    """Weights at random: its proposals have nothing to do with the scan."""
    network = UNet(UNetShape(widths=(8, 8, 8), blocks=(1, 1, 1)))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return network


def simulated(geometry: ParallelBeam | FanBeam = FAN, photons: float | None = None, seed: int = 2) -> Simulated:
    head = next(family for family in FAMILIES if family.name == "head")
    return simulate(head, geometry, GRID, relative_noise=0.02, photons=photons, seed=seed)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("geometry", [PARALLEL, FAN], ids=["parallel", "fan"])
@pytest.mark.parametrize("photons", [None, 3e4], ids=["gaussian", "poisson"])
def test_a_random_network_cannot_disregard_the_measurement(
    geometry: ParallelBeam | FanBeam, photons: float | None, tmp_path: Path
) -> None:
    case = simulated(geometry, photons)
    value = case.delta if case.whitened_delta is None else case.whitened_delta
    norm = "2-norm" if photons is None else "whitened"
    problem = prepare(case.scan, Delta(value=value, norm=norm, how="the true residual"))  # type: ignore[arg-type]
    outcome = energy(problem, prior=random_network(), iterations=400)
    energies = [progress.energy for progress in outcome.history]
    assert all(after < before for before, after in itertools.pairwise(energies))
    result = conclude(problem, outcome)
    assert result.certified, outcome.reason
    assert result.certificate is not None
    result.certificate.write(tmp_path / "u.npy")
    assert check(tmp_path / "u.certificate.json").valid
    # What the bare network says has a residual far above delta.
    with torch.no_grad():
        filtered = problem.precondition(problem.energy.data)
        bare = random_network()(torch.cat([problem.start, problem.start, filtered, filtered, filtered], 1))
    found = problem.energy.at(bare).discrepancy
    assert found is not None
    assert float(found) > 3 * value


@pytest.mark.sampled(1)
@pytest.mark.parametrize("geometry", [PARALLEL, FAN], ids=["parallel", "fan"])
def test_all_methods_agree_on_where_things_are(geometry: ParallelBeam | FanBeam) -> None:
    case = simulated(geometry)
    problem = prepare(case.scan, delta_for(case.scan, str(case.delta)))
    fresh = UNet(UNetShape(widths=(8, 8, 8), blocks=(1, 1, 1)))
    truth = case.truth / np.linalg.norm(case.truth)
    for outcome in (
        energy(problem, prior=fresh),
        gradient(problem),
        cgls(problem),
        huber_tv(problem),
        fbp(problem),
    ):
        image = outcome.image / np.linalg.norm(outcome.image)
        right = float((image * truth).sum())
        assert right > 0.9
        for wrong in (image[::-1], image[:, ::-1], image.T, np.roll(image, 2, axis=1), np.rot90(image)):
            assert float((wrong * truth).sum()) < right


@pytest.mark.parametrize("method", [gradient, cgls, huber_tv])
def test_every_iteration_can_be_watched(method: Callable[..., Outcome]) -> None:
    """What is shown live is the history, it is no straight line from start to end, and it ends with the truth."""
    case = simulated()
    problem = prepare(case.scan, delta_for(case.scan, str(case.delta)))
    seen: list[IterationRecord] = []
    outcome = method(problem, watch=seen.append)
    assert [p.iteration for p in outcome.history] == list(range(len(outcome.history)))
    assert len(outcome.history) >= 5
    assert list(outcome.history[:-1]) == seen[: len(outcome.history) - 1]
    assert seen[-1].residual == pytest.approx(outcome.history[-1].residual, rel=2e-4)
    for progress in outcome.history:
        assert progress.energy == pytest.approx(progress.residual**2 / 2, rel=1e-4)
    found = problem.energy.at(torch.from_numpy(outcome.image)[None, None]).discrepancy
    assert found is not None
    assert outcome.history[-1].residual == pytest.approx(float(found), rel=1e-5)
    residuals = [progress.residual for progress in outcome.history]
    assert residuals[0] == pytest.approx(np.linalg.norm(case.scan.sinogram), rel=1e-5)
    assert len(set(residuals)) >= 5
    if method is not huber_tv:
        assert residuals == sorted(residuals, reverse=True)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("geometry", [PARALLEL, FAN], ids=["parallel", "fan"])
def test_fbp_takes_the_smoothest_filter_that_meets_delta(geometry: ParallelBeam | FanBeam) -> None:
    case = simulated(geometry)
    problem = prepare(case.scan, delta_for(case.scan, "1%"))
    residuals = []
    for window, cutoff in SMOOTHEST_FIRST:
        image = FilteredBackProjection(geometry, GRID, window=window, cutoff=cutoff)(problem.energy.data)
        found = problem.energy.at(image).discrepancy
        assert found is not None
        residuals.append(float(found))
    for k in (3, 7, len(residuals) - 1):
        delta = Delta(value=1.001 * residuals[k], norm="2-norm", how="given")
        first = next(i for i, value in enumerate(residuals) if value <= residuals[k])
        outcome = fbp(replace(problem, delta=delta))
        assert conclude(replace(problem, delta=delta), outcome).certified
        assert outcome.history[-1].residual == pytest.approx(residuals[first], rel=1e-6)
        assert outcome.reason.startswith(f"filter {SMOOTHEST_FIRST[first][0]}")
        assert len(outcome.history) == first + 2, "no sharper one is tried"
    # Out of reach: the best of all, with its true residual. A window that was asked for is taken.
    delta = Delta(value=0.5 * min(residuals), norm="2-norm", how="given")
    result = conclude(replace(problem, delta=delta), fbp(replace(problem, delta=delta)))
    assert not result.certified
    assert result.residual == pytest.approx(min(residuals), rel=1e-4)
    fixed = fbp(problem, window="cosine")
    assert fixed.history[-1].residual == pytest.approx(residuals[SMOOTHEST_FIRST.index(("cosine", 1.0))], rel=1e-6)


def test_a_scan_with_its_own_matrix(tmp_path: Path) -> None:
    case = simulated(PARALLEL)
    matrix = joseph_matrix(PARALLEL, GRID)
    scan = Scan(sinogram=case.scan.sinogram, matrix=matrix, source="matrix.mat")
    problem = prepare(scan, delta_for(scan, str(case.delta)))
    result = conclude(problem, energy(problem, prior=UNet(UNetShape(widths=(8, 8, 8), blocks=(1, 1, 1)))))
    assert result.certified
    assert result.certificate is not None
    result.certificate.write(tmp_path / "u.npy")
    assert check(tmp_path / "u.certificate.json").valid
    with pytest.raises(InputError, match="geometry"):
        fbp(problem)
    with pytest.raises(SettingError, match="matrix"):
        prepare(scan, problem.delta, operator="joseph")


def test_the_whitened_norm_is_that_of_the_variances() -> None:
    case = simulated(photons=1e4)
    delta = delta_for(case.scan, "auto")
    assert delta.norm == "whitened"
    problem = prepare(case.scan, delta)
    result = conclude(problem, energy(problem, prior=random_network(), iterations=400))
    assert case.scan.variance is not None
    matrix = joseph_matrix(FAN, GRID, np.float64)
    r = (matrix @ result.image.astype(np.float64).ravel()).reshape(case.scan.sinogram.shape) - case.scan.sinogram
    assert result.residual == pytest.approx(np.linalg.norm(r / np.sqrt(case.scan.variance)), rel=1e-6)


def test_scaling_the_data_scales_the_image() -> None:
    case = simulated()
    scaled = Scan(sinogram=1000 * case.scan.sinogram, geometry=FAN, grid=GRID)
    one = energy(prepare(case.scan, delta_for(case.scan, "3%")), prior=random_network(), iterations=5)
    many = energy(prepare(scaled, delta_for(scaled, "3%")), prior=random_network(), iterations=5)
    assert np.linalg.norm(many.image - 1000 * one.image) <= 1e-3 * np.linalg.norm(many.image)


def test_a_wrong_geometry_does_not_certify_a_sharp_delta() -> None:
    case = simulated()
    half_turned = FanBeam(**{**vars(FAN), "angles_rad": tuple(-a for a in FAN.angles_rad)})
    wrong = Scan(sinogram=case.scan.sinogram, geometry=half_turned, grid=GRID)
    problem = prepare(wrong, Delta(value=case.delta, norm="2-norm", how="the true residual"))
    result = conclude(problem, energy(problem, prior=UNet(UNetShape(widths=(8, 8, 8), blocks=(1, 1, 1)))))
    assert not result.certified
    assert result.residual > case.delta
