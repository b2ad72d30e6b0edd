"""Normalised interpolation takes metal's streaks away, better than straight lines do, and touches nothing else."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation

import ctrecon as ct
from ctrecon.classical.fbp import FilteredBackProjection
from ctrecon.corrections import corrected
from ctrecon.corrections.nmar import across, normalised, prior
from ctrecon.errors import InputError, SettingError

SIZE, VIEWS, PHOTONS = 72, 100, 2e4


@cache
def scans(subject: str) -> tuple[ct.Scan, ct.Scan, np.ndarray, np.ndarray]:
    """With two pins of metal seen by a soft and a hard energy, and without; the truth, and where no metal is."""
    made = ct.simulate(subject, size=SIZE, views=VIEWS, noise=0.0, seed=2)
    f, grid, rng = made.scan.sinogram.astype(float), made.scan.grid, np.random.default_rng(3)
    gain = 5 / f.max()
    width = max(grid.size_mm) / 128
    pins = np.zeros(grid.shape, dtype=np.float32)
    for x, y in ((20, 8), (-25, -12)):
        pins[np.hypot(grid.x_mm[None] - x * width, grid.y_mm[:, None] - y * width) < 4 * width] = 1
    path = ct.simulate(pins, geometry=made.scan.geometry, grid=grid, noise=0.0).scan.sinogram.astype(float)
    path *= 6 / path.max()

    def counted(soft: np.ndarray, hard: np.ndarray) -> ct.Scan:
        counts = np.maximum(rng.poisson(PHOTONS * (0.6 * np.exp(-soft) + 0.4 * np.exp(-hard))), 1)
        values, variance = -np.log(counts / PHOTONS), 1 / counts
        return replace(made.scan, sinogram=values.astype(np.float32), variance=variance.astype(np.float32))

    body = gain * f
    beside = ~binary_dilation(pins > 0, iterations=2)
    return counted(body + 8 * path, 0.9 * body + 3 * path), counted(body, 0.9 * body), gain * made.truth, beside


def image(scan: ct.Scan) -> np.ndarray:
    data = torch.from_numpy(scan.sinogram)[None, None]
    return FilteredBackProjection(scan.geometry, scan.grid, window="hann")(data)[0, 0].numpy().astype(float)


def decibels(scan: ct.Scan, of: np.ndarray, beside: np.ndarray) -> float:
    return float(20 * np.log10(of.max() / np.sqrt(np.mean((image(scan) - of)[beside] ** 2))))


@pytest.mark.parametrize("subject", ["chest", "head"])
def test_streaks_go_and_more_of_them_than_by_straight_lines(subject: str) -> None:
    scan, clean, truth, beside = scans(subject)
    limit = 2.2 * truth.max()
    after = corrected(scan, {"nmar": {"mu": limit}})
    # Against the image without metal, and, which its own noise and pixels limit, against the truth.
    without = image(clean)
    shadow = after.sinogram != scan.sinogram
    straight = replace(scan, sinogram=across(scan.sinogram.astype(float), shadow).astype(np.float32))
    before, gained, plain = (decibels(one, without, beside) for one in (scan, after, straight))
    assert gained > before + 7
    assert gained > plain + 0.8
    assert decibels(after, truth, beside) > decibels(scan, truth, beside) + 5
    assert f"correction nmar (mu = {limit:g}, border = 1)" in after.notes[-1]
    assert (after.variance >= across(scan.variance.astype(float), shadow) * (1 - 1e-5)).all()
    np.testing.assert_array_equal(after.variance[~shadow], scan.variance[~shadow])


def test_a_scan_without_metal_is_the_very_same() -> None:
    _, clean, truth, _ = scans("chest")
    after = corrected(clean, {"nmar": {"mu": 2.2 * truth.max()}})
    np.testing.assert_array_equal(after.sinogram, clean.sinogram)
    assert after.notes[-1].endswith("nothing was changed")


def test_of_a_perfect_prior_nothing_is_lost_and_of_none_straight_lines_are_left() -> None:
    rng = np.random.default_rng(1)
    f = 1 + rng.random((5, 40))
    rays = np.zeros(f.shape, dtype=bool)
    rays[:, 12:20] = True
    np.testing.assert_allclose(normalised(np.where(rays, 9.0, f), rays, 3 * f), f, rtol=1e-12)
    np.testing.assert_allclose(normalised(f, rays, np.ones_like(f)), across(f, rays), rtol=1e-12)


def test_the_prior_keeps_bone_and_levels_tissue() -> None:
    values = np.zeros((60, 60))
    values[10:50, 10:50] = 1 + 0.02 * np.random.default_rng(2).standard_normal((40, 40))
    values[25:35, 25:35] = 2.0
    found = prior(values)
    assert found[30, 30] == pytest.approx(2.0, rel=0.02)
    assert np.unique(found[14:22, 14:46]).size == 1
    assert found[14, 14] == pytest.approx(1.0, rel=0.03)
    assert found[2, 2] == 0


def test_what_it_cannot_do_is_said() -> None:
    scan, _, _, _ = scans("chest")
    with pytest.raises(SettingError, match="nmar:mu must be > 0"):
        corrected(scan, {"nmar": {"mu": 0.0}})
    with pytest.raises(SettingError, match="give nmar:above=NUMBER"):
        corrected(replace(scan, length_unit="cell"), {"nmar": {}})
    with pytest.raises(InputError, match="metal hides all of view 0"):
        corrected(scan, {"nmar": {"above": 0.8 * float(scan.sinogram.max()), "border": 99}})
    for name in ("nmar", "metal"):  # an attenuation, taken for a line integral
        with pytest.raises(SettingError, match=f"{name}:above=0.02 takes .* most of the object"):
            corrected(scan, {name: {"above": 0.02}})
    cone = ct.simulate("trunk", beam="cone", size=16, views=12).scan
    with pytest.raises(InputError, match="nmar needs one slice"):
        corrected(cone, {"nmar": {"above": 1.0}})
