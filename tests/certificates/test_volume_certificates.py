"""Certificates of volumes: the stand-alone checker projects by itself, bounds its rounding, is not fooled."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from geometries import EXAMPLES, short
from volumes import GRID, cone, noisy

import ctrecon as ct
from ctrecon.certificates import in_space, verify
from ctrecon.certificates.feasible import FeasibleCertificate, NotCertified, certify
from ctrecon.certificates.in_space import product_in_space
from ctrecon.certificates.infeasible import InfeasibleCertificate, exclude
from ctrecon.certificates.parts import operator_claim
from ctrecon.classical.box import fit_in_box
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.operators.volume.joseph import VolumeJosephOperator

SPACE = {name: made for cases in EXAMPLES.values() for name, made in cases.items() if len(made().shape) == 3}
SMALL = ct.Grid(rows=11, columns=9, slices=5, pixel_mm=(2.9, 3.3), slice_mm=1.1, centre_mm=(1.3, -0.7, 0.4))


@pytest.mark.parametrize("name", SPACE)
def test_the_checker_and_the_solver_project_alike_within_the_bound(name):
    geometry = short(SPACE[name](), 6)
    operator, _ = operator_claim(geometry, SMALL, None)
    image = np.random.default_rng(0).random(SMALL.shape)
    found, errors = verify.apply(operator, image, None)
    own = VolumeJosephOperator(geometry, SMALL)(torch.from_numpy(image)[None, None])[0, 0].numpy().ravel()
    assert np.isfinite(errors).all()
    assert (np.abs(found - own) <= errors + 1e-9).all()  # the solver rounds, too
    assert errors.max() < 1e-6 * own.max()
    # The twin rounds as the checker does, and states the same bound.
    compiled, bounds = product_in_space(operator, image)
    assert (np.abs(compiled - found) <= 1e-13 * own.max()).all()
    assert np.array_equal(bounds, errors)
    moved, _ = operator_claim(geometry, ct.Grid(**{**SMALL.to_dict(), "centre_mm": [1.3, -0.7, 0.41]}), None)
    assert np.abs(verify.apply(moved, image, None)[0] - found).max() > 1e3 * errors.max()


def test_a_ray_that_has_no_main_axis_is_not_certified():
    """Its weights jump where two axes tie: then no rounding can tell which holds, and the bound says so."""
    off = 1 - verify.TIE
    geometry = ct.VectorsInSpace(
        source=((-100.0, -100.0 * off, 0.0),), detector_mm=((100.0, 100.0 * off, 0.0),),
        detector_axis=((-0.5**0.5, 0.5**0.5, 0.0),), detector_column_axis=((0.0, 0.0, 1.0),), detector_count=1,
        detector_rows=1,
    )
    operator, _ = operator_claim(geometry, ct.Grid(rows=5, columns=5, slices=3, slice_mm=1.0), None)
    assert np.isinf(verify.apply(operator, np.ones((3, 5, 5)), None)[1]).all()
    assert np.isinf(product_in_space(operator, np.ones((3, 5, 5)))[1]).all()


def test_no_twin_that_sums_otherwise_certifies(monkeypatch):
    geometry = cone(3)
    operator, _ = operator_claim(geometry, SMALL, None)
    image = np.random.default_rng(0).random(SMALL.shape)
    sums = in_space._sums

    def wrong(*given):
        sums(*given)
        given[8][:] *= 1 + 1e-8

    monkeypatch.setattr(in_space, "_sums", wrong)
    with pytest.raises(ct.errors.CtreconError, match="twin differ"):
        product_in_space(operator, image)


@pytest.fixture(scope="module")
def certified(tmp_path_factory):
    scan, delta = noisy()
    result = ct.reconstruct(scan, delta=1.35 * delta, method="cgls")
    assert result.certified
    place = tmp_path_factory.mktemp("volume") / "u.npy"
    result.save(place, preview=False)
    return place, result


def test_a_volumes_certificate_is_valid_also_alone(certified):
    place, result = certified
    path = place.with_name("u.certificate.json")
    verdict = verify.check(path)
    assert verdict.valid, verdict.reason
    assert verdict.proved["residual_upper_bound"] <= result.delta.value
    assert "geometry in space stated here view by view" in verdict.statement
    alone = place.with_name("checker.py")
    alone.write_bytes(Path(verify.__file__).read_bytes())
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-I", str(alone), str(path)], capture_output=True, text=True, check=False, env=clean
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("VALID")


@pytest.mark.parametrize("change", ["image", "data", "delta", "source", "slices", "row spacing", "radius", "axis"])
def test_what_was_changed_is_refused(certified, tmp_path, change):
    place, _ = certified
    for path in place.parent.glob("u.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    path = tmp_path / "u.certificate.json"
    claims = json.loads(path.read_bytes())
    if change in ("image", "data"):
        file = tmp_path / ("u.npy" if change == "image" else "u.data.npy")
        values = np.load(file)
        values[7, 3, 2] += 1e-3
        np.save(file, values)
    else:
        geometry, grid = claims["operator"]["geometry"], claims["operator"]["grid"]
        if change == "delta":
            claims["delta"] *= 0.9
        elif change == "source":
            geometry["source"][3][2] += 5.0
        elif change == "slices":
            grid["slices"] += 1
        elif change == "row spacing":
            geometry["detector_row_spacing_mm"] *= 1.1
        elif change == "radius":
            geometry["detector_radius_mm"] = 500.0
        else:
            geometry["detector_axis"] = geometry["detector_axis"][:-1]
        path.write_bytes(verify.encode(claims))
    verdict = verify.check(path)
    assert not verdict.valid
    assert verdict.readable


@pytest.mark.long
def test_no_volume_meets_an_impossible_delta_and_that_is_proved():
    scan, _ = noisy()
    operator = VolumeJosephOperator(scan.geometry, GRID)
    energy = LeastSquares(operator, torch.from_numpy(scan.sinogram)[None, None])
    fit = fit_in_box(energy, 0.0, 0.05, most_iterations=40)
    assert 0 < fit.bound <= fit.misfit
    given = {"lo": 0.0, "hi": 0.05, "shape": GRID.shape}
    y = fit.dual[0, 0].numpy()
    found = exclude(y, scan.sinogram, scan.geometry, GRID, 0.9 * fit.bound, **given)
    assert isinstance(found, InfeasibleCertificate)
    assert found.lower_bound == pytest.approx(fit.bound, rel=1e-3)
    assert not isinstance(
        exclude(y, scan.sinogram, scan.geometry, GRID, 1.1 * fit.bound, **given), InfeasibleCertificate
    )


def test_a_volume_that_misses_delta_is_not_certified():
    scan, delta = noisy(cone(8))
    image = np.zeros(GRID.shape, np.float32)
    assert isinstance(certify(image, scan.sinogram, scan.geometry, GRID, delta), NotCertified)
    huge = float(np.linalg.norm(scan.sinogram)) * 1.01
    assert isinstance(certify(image, scan.sinogram, scan.geometry, GRID, huge), FeasibleCertificate)
