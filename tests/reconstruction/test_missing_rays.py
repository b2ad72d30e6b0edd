"""What missing rays cost: a dead column, a lost view, one ray in a hundred, for every method that there is."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import ctrecon as ct
from ctrecon.certificates.verify import check
from ctrecon.reconstruction.methods import METHODS
from ctrecon.reconstruction.objectives import ENERGIES

SIZE, VIEWS = 48, 45
MOST_DB = 0.5


@cache
def made() -> ct.Simulated:
    return ct.simulate("chest", size=SIZE, views=VIEWS, photons=1e5, seed=3)


def gaps(name: str) -> np.ndarray:
    shape = made().scan.sinogram.shape
    mask = np.ones(shape, dtype=bool)
    if name == "column":
        mask[:, shape[1] // 2 - 7] = False
    elif name == "view":
        mask[shape[0] // 3] = False
    else:
        mask = np.random.default_rng(7).random(shape) > 0.01
    return mask


def broken(mask: np.ndarray) -> ct.Scan:
    """Nonsense where the mask says that nothing was measured; counts, which the Poisson energy sees, as well."""
    scan = made().scan
    nothing = {name: np.where(mask, getattr(scan, name), 1e3) for name in ("sinogram", "counts", "white")}
    return replace(scan, **nothing, mask=mask)


def decibels(image: np.ndarray) -> float:
    truth = made().truth
    return float(20 * np.log10(np.ptp(truth) / np.sqrt(np.mean((image.astype(float) - truth) ** 2))))


@cache
def clean(method: str, energy: str) -> float:
    return decibels(ct.reconstruct(made().scan, method=method, energy=energy).image)


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "name", ["column", *(pytest.param(name, marks=pytest.mark.long) for name in ("view", "one ray in a hundred"))]
)  # fmt: skip
@pytest.mark.parametrize(
    ("method", "energy"), [(method, "least-squares") for method in METHODS]
    + [("gradient", energy) for energy in ENERGIES if energy != "least-squares"]
)  # fmt: skip
def test_missing_rays_cost_little(method: str, energy: str, name: str) -> None:
    found = ct.reconstruct(broken(gaps(name)), method=method, energy=energy)
    assert decibels(found.image) > clean(method, energy) - MOST_DB
    assert any("rays are missing and have no weight" in note for note in found.scan.notes)


@pytest.mark.parametrize("name", ["column", "view", "one ray in a hundred"])
def test_steepest_descent_is_as_quick_with_missing_rays(name: str) -> None:
    # Its first step of 2 / L only turns the steepest part over, when L is the last bit too small.
    white = replace(made().scan, variance=None, counts=None, white=None)
    whole, some = (
        ct.reconstruct(scan, method="gradient", delta="3%") for scan in (white, replace(white, mask=gaps(name)))
    )
    assert len(some.history) < 1.5 * len(whole.history) + 2
    assert len(whole.history) < 40


@pytest.mark.parametrize("method", ["cgls"])
def test_without_the_mask_they_cost_much_and_with_it_nothing_of_them_is_seen(method: str) -> None:
    mask = gaps("column")
    noise = 5 + np.random.default_rng(0).random(mask.shape)  # not constant, which would be noticed
    unmarked = replace(made().scan, sinogram=np.where(mask, made().scan.sinogram, noise))
    assert decibels(ct.reconstruct(unmarked, method=method).image) < clean(method, "least-squares") - 3
    one, other = (ct.reconstruct(broken(mask) if seed else replace(made().scan, mask=mask), method=method)
                  for seed in (0, 1))  # fmt: skip
    np.testing.assert_allclose(one.image, other.image, atol=1e-7)


def test_the_certificate_says_how_many_rays_count_and_the_checker_agrees(tmp_path) -> None:
    mask = gaps("column")
    for scan in (broken(mask), replace(broken(mask), variance=None, counts=None, white=None)):
        found = ct.reconstruct(scan, method="cgls")
        assert found.certified
        found.save(tmp_path / "r.npy", overwrite=True)
        verdict = check(tmp_path / "r.certificate.json")
        assert verdict.valid
        said = f"{VIEWS} of them zero, so {mask.sum()} values count"
        assert said in verdict.statement
        assert np.count_nonzero(verdict.arrays["weights"]) == mask.sum()
