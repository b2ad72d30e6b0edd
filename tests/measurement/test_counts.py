"""Counts become line integrals and variances in one place; here is what that place keeps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from known_sinograms import discs, parallel

from ctrecon.errors import InputError, SettingError
from ctrecon.measurement.counts import add_poisson_noise, line_integrals, line_integrals_from_counts, photon_transfer
from ctrecon.measurement.delta import delta_from_variance
from ctrecon.measurement.few_counts import FEWEST_COUNTS


def test_counts_give_back_the_line_integrals_they_came_from():
    f = discs(parallel())
    white, dark = np.full(200, 1e5 + 100), np.full(200, 100.0)
    values, variance = line_integrals_from_counts(1e5 * np.exp(-f) + 100, white, dark, 3)
    np.testing.assert_allclose(values, f, atol=1e-12)
    N = 1e5 * np.exp(-f)
    np.testing.assert_allclose(variance, (N + 9) / N**2)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("photons", [3e2, 1e4])
def test_the_variance_is_that_of_repeated_scans(photons):
    """Over many seeds; and it is not that of twice the photons."""
    f = np.linspace(0, 1, 40)[None]
    scans = [add_poisson_noise(f, photons, seed) for seed in range(600)]
    measured = np.var([scan.values for scan in scans], axis=0)
    claimed = np.mean([scan.variance for scan in scans], axis=0)
    assert np.mean(measured / claimed) == pytest.approx(1, abs=0.03)
    assert np.mean(measured / (photons * np.exp(-f)) ** -1) == pytest.approx(1, abs=0.03)
    assert np.mean(measured / claimed) != pytest.approx(0.5, abs=0.1)


@pytest.mark.long
def test_the_whitened_residual_of_the_truth_lies_below_delta_as_often_as_promised():
    f = discs(parallel(views=20))
    delta = delta_from_variance(f.size, 0.9)
    inside = 0
    for seed in range(200):
        noisy = add_poisson_noise(f, 1e5, seed)
        inside += float(np.sqrt(np.sum((noisy.values - f) ** 2 / noisy.variance))) <= delta
    assert 0.82 <= inside / 200 <= 0.97


def test_rays_without_counts_are_kept_counted_and_said():
    counts = np.full((3, 4), 50.0)
    counts[1, 2], counts[2, 0] = 0, 10
    result = line_integrals(counts, 60.0, 10.0)
    assert np.isfinite(result.values).all()
    assert np.isfinite(result.variance).all()
    assert result.values[1, 2] == result.values[2, 0] == pytest.approx(math.log(50 / FEWEST_COUNTS))
    assert result.variance[1, 2] == pytest.approx(1 / FEWEST_COUNTS)
    assert result.counts[1, 2] == 0
    assert result.notes == (f"2 of 12 rays counted less than {FEWEST_COUNTS} and are taken as {FEWEST_COUNTS}",)
    assert line_integrals(np.full((3, 4), 50.0), 60.0, 10.0).notes == ()


def test_air_rays_above_the_white_field_by_noise_are_no_error():
    counts = np.random.default_rng(0).poisson(50.0, (40, 60))
    assert (counts > 50).mean() > 0.3
    result = line_integrals(counts, 50.0)
    assert result.values.min() < 0, "nothing is clipped at 0"
    assert result.notes == ()


def test_a_few_bright_rays_are_kept_with_a_note():
    counts = np.full((40, 60), 9000.0)
    counts[3, 4] = 11000
    result = line_integrals(counts, 10000.0)
    assert result.values[3, 4] == pytest.approx(-math.log(1.1))
    assert "1 of 2400 rays count more than the white field" in result.notes[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c * 2, "2400 of 2400 rays, the first at view 0, detector 0, up to 1.8 times"),
        (lambda c: np.where(np.arange(c.size).reshape(c.shape) == 125, 2e4, c), "1 of 2400 .* view 2, detector 5"),
        (lambda c: np.where(np.arange(60) < 4, 11000, c), "160 of 2400 rays"),
    ],
)
def test_counts_above_the_white_field_are_refused(change, words):
    with pytest.raises(InputError, match=f"counts above the white field on {words}"):
        line_integrals(change(np.full((40, 60), 9000.0)), 10000.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((-np.ones((2, 3)), 5.0), "6 counts are negative"),
        ((np.array([[1.0, np.nan]]), 5.0), "counts holds 1 values .* first at view 0, detector 1"),
        ((np.ones((2, 3)), np.array([5.0, 0.0, 5.0])), "white field is not above the dark field on 2 rays.*detector 1"),
        ((np.ones((2, 3)), np.array([5.0, np.inf, 5.0])), "white field holds 2 values"),
        ((np.ones((2, 3)), np.ones(4)), r"white field has shape \(4,\)"),
        ((np.ones(3), 5.0), r"\[views, detectors\]"),
    ],
)
def test_impossible_counts(arguments, words):
    with pytest.raises(InputError, match=words):
        line_integrals(*arguments)


@pytest.mark.parametrize("setting", [{"electronic_sigma": -1}, {"electronic_sigma": math.nan}, {"gain": 0}])
def test_impossible_settings(setting):
    with pytest.raises(SettingError):
        line_integrals(np.ones((2, 3)), 5.0, **setting)


def test_white_frames_are_averaged():
    frames = np.random.default_rng(0).uniform(90, 110, (7, 5))
    one = line_integrals(np.full((3, 5), 50.0), frames)
    np.testing.assert_array_equal(one.white, np.broadcast_to(frames.mean(axis=0), (3, 5)))


@pytest.mark.parametrize("gain", [0.5, 1.0, 3.0])
def test_the_cameras_gain_and_electronic_noise_from_its_frames(gain):
    """Also while the beam drifts by 2% from frame to frame, which would otherwise swamp the noise."""
    rng = np.random.default_rng(1)
    beam = np.linspace(0.98, 1.02, 12)[:, None]
    white = gain * rng.poisson(beam * 20000.0 / gain, (12, 800)) + 100 + rng.normal(0, 6, (12, 800))
    dark = 100 + rng.normal(0, 6, (12, 800))
    found, sigma_e = photon_transfer(white, dark)
    assert found == pytest.approx(gain, rel=0.05)
    assert sigma_e == pytest.approx(6, rel=0.1)
    assert float(np.median(white.var(axis=0, ddof=1) / 20000)) > 2 * gain, "the plain ratio is wrong here"
    assert photon_transfer(white[:2], dark[:2]) == (1.0, 0.0)
