"""What images without any structure show or explain as well is said, of one image and of ranges of all."""

import math

import numpy as np
import pytest
import scipy.sparse.linalg
from certificate_cases import CASES, problem, projected
from worth_cases import feasible, interval, solving, weighed

from ctrecon.certificates.feasible import certify
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.operators.sparse import joseph_matrix

FLAT = "an image of a single value meets delta as well"


@pytest.mark.parametrize(("case", "value"), [(case, (0.05, -3.0)[k % 2]) for k, case in enumerate(CASES)])
def test_data_that_one_value_explains_are_named_and_an_image_of_structure_is_not(case, value, tmp_path):
    image, data, kept, _ = problem(case)
    assert FLAT not in weighed(feasible(tmp_path, case))[0].little
    flat = np.full_like(image, value)
    if kept["grid"] is None:
        exact = np.asarray(kept["matrix"].astype(np.float64) @ flat.ravel().astype(np.float64)).reshape(data.shape)
    else:
        exact = projected(kept["geometry"], kept["grid"], flat)[0].reshape(data.shape)
    w = np.sqrt(kept.get("weights", np.ones(1)).astype(np.float64))
    noise = 0.03 * np.abs(exact).max() * np.random.default_rng(1).standard_normal(data.shape)
    # The image that is certified has a structure of its own, which delta leaves open.
    other = flat * np.random.default_rng(2).uniform(0.99, 1.01, image.shape).astype(np.float32)
    made = certify(other, exact + noise, delta=1.3 * float(np.linalg.norm(w * noise)), **kept)
    found, said = weighed(made.write(tmp_path / "s.npy", overwrite=True)[""])
    assert FLAT in found.little
    assert FLAT in said
    assert not found.nothing


def test_many_views_are_asked_a_few_at_a_time_and_all_decide(tmp_path):
    """In the few that are asked first one value fits; it is all views that it has to fit."""
    angles = np.pi * np.arange(130) / 130
    geometry, grid = ParallelBeam(angles_rad=tuple(angles.tolist()), detector_count=9), Grid(rows=6, columns=6)
    flat = projected(geometry, grid, np.full(grid.shape, 0.5))[0].reshape(geometry.shape)
    asked = np.linspace(0, 129, 64).round().astype(int)
    matrix = joseph_matrix(geometry, grid, np.float64)
    for odd in (False, True):
        data = flat + 0.02 * np.random.default_rng(0).standard_normal(flat.shape)
        if odd:
            data[np.setdiff1d(np.arange(130), asked), 4] *= 1.5
        image = scipy.sparse.linalg.lsqr(matrix, data.ravel())[0].reshape(grid.shape)
        left = np.linalg.norm(flat - data) if not odd else np.linalg.norm(matrix @ image.ravel() - data.ravel())
        made = certify(image, data, geometry, grid, 1.001 * float(left))
        found, _ = weighed(made.write(tmp_path / f"{odd}.npy")[""])
        assert (FLAT in found.little) is not odd


@pytest.mark.parametrize("directions", [(0.3,), (0.3,) * 12, (0.3, 0.3 + math.pi) * 6])
@pytest.mark.parametrize("side", [1, 12])
def test_one_direction_is_named_however_often_it_is_measured(directions, side, tmp_path):
    geometry, grid = ParallelBeam(angles_rad=directions, detector_count=14), Grid(rows=side, columns=side)
    image = np.random.default_rng(0).random(grid.shape)
    data = projected(geometry, grid, image)[0].reshape(geometry.shape)
    data = data + 0.02 * data.max() * np.random.default_rng(1).standard_normal(data.shape)
    delta = 1.5 * float(np.linalg.norm(data - projected(geometry, grid, image)[0].reshape(data.shape)))
    found, _ = weighed(certify(image, data, geometry, grid, delta).write(tmp_path / "s.npy")[""])
    assert "the rays through the middle run in one direction only" in found.little
    assert not any("degrees" in one for one in found.little)


@pytest.mark.parametrize("times", [1.0, 1e-12, -2.0])
def test_a_sign_that_images_of_one_value_have_is_no_contrast(times, tmp_path):
    """A mean over some pixels is above 0 in every bright image; a difference of two means in none of one value."""
    mean = np.zeros((7, 9))
    mean[2:5, 3:6] = times / 9
    contrast = mean - times * np.pad(np.zeros((5, 7)), 1, constant_values=1 / 28)
    for c, said in ((mean, True), (contrast, False)):
        path = interval(tmp_path, c, y=solving(c), delta=1e-6, noise=0.0)
        found, _ = weighed(path)
        assert any("no contrast" in one for one in found.little) is said, found


def test_one_of_a_thing_is_said_as_one(tmp_path):
    geometry, grid = ParallelBeam(angles_rad=(0.3,), detector_count=1), Grid(rows=1, columns=1)
    made = certify(np.ones((1, 1)), np.full((1, 1), 1.05), geometry, grid, 0.2)
    assert "1 value for 1 pixel" in weighed(made.write(tmp_path / "s.npy")[""])[1]
