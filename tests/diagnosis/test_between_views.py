"""What differs from view to view, or is handed on: gains of views in plane and space, and a detector's lag."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pytest

import ctrecon as ct
from ctrecon.diagnosis.causes.bent_scale import bent_scale
from ctrecon.diagnosis.causes.shared_noise import shared_noise
from ctrecon.diagnosis.causes.view_gain import view_gain
from ctrecon.diagnosis.causes.view_mass import view_mass
from ctrecon.diagnosis.diagnose import diagnose
from ctrecon.diagnosis.doubts import a_sign, doubts_about
from ctrecon.diagnosis.fit import fit
from ctrecon.measurement.scan import Scan

VIEWS, PHOTONS = 120, 3e4


def with_data(scan: Scan, values: np.ndarray) -> Scan:
    return dataclasses.replace(scan, sinogram=np.ascontiguousarray(values.astype(np.float32)))


@cache
def of(beam: str, subject: str) -> Scan:
    if beam == "cone":
        return ct.simulate(subject, beam=beam, size=24, views=40, noise=0.01, seed=5).scan
    return ct.simulate(subject, beam=beam, size=96, views=VIEWS, noise=0.01, seed=3).scan


def uneven(beam: str, kind: str) -> tuple[Scan, np.ndarray]:
    scan = of(beam, "head")
    views = scan.sinogram.shape[0]
    gains = 1 + np.random.default_rng(3).normal(0, 0.03, views)
    if kind == "half":
        gains = np.where(np.arange(views) > views // 2, 1.05, 1.0)
    return with_data(scan, scan.sinogram * gains.reshape(-1, *[1] * (scan.sinogram.ndim - 1))), gains


@pytest.mark.sampled(2)
@pytest.mark.parametrize("beam", ["fan", "parallel"])
@pytest.mark.parametrize("kind", ["each", "half"])
def test_gains_of_views_are_found(beam: str, kind: str) -> None:
    bad, gains = uneven(beam, kind)
    (found,) = (view_mass if beam == "parallel" else view_gain)(bad)
    assert found.scan is not None
    assert fit(found.scan).share < 0.6 * fit(bad).share
    factors = np.median(found.scan.sinogram / np.where(bad.sinogram == 0, 1, bad.sinogram), axis=1)
    np.testing.assert_allclose(factors * gains / np.median(factors * gains), 1, atol=0.012)


@pytest.mark.parametrize(
    ("beam", "kind"),
    [("cone", "half"), *(pytest.param(beam, kind, marks=pytest.mark.long)
                         for beam in ("fan", "parallel", "cone") for kind in ("each", "half"))],
)  # fmt: skip
def test_gains_of_views_are_named_first(beam: str, kind: str) -> None:
    found = diagnose(uneven(beam, kind)[0]).findings
    assert found, beam
    assert found[0].cause == "view-gain", [str(one) for one in found]
    assert found[0].after < 0.6 * found[0].before
    assert (found[0].scan is None) == (beam == "cone"), "of a row of many the other rows do not follow"


def with_pedestal(scan: Scan, dark: float) -> Scan:
    """Counts of which ``dark`` of the open beam was kept (or taken off twice); the darkest ray lets through 2%."""
    per = 4 / float(scan.sinogram.max())
    counts = np.exp(-per * scan.sinogram.astype(float))
    return with_data(scan, -np.log(np.maximum((counts + dark) / (1 + dark), 1e-4)) / per)


def crooked(one: Scan, other: Scan) -> float:
    """How far one is from the other times any factor, which no data tell."""
    f, p = one.sinogram.astype(float), other.sinogram.astype(float)
    return float(np.linalg.norm(f * ((f * p).sum() / (f * f).sum()) - p))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("beam", ["fan", "parallel"])
@pytest.mark.parametrize("dark", [0.03, -0.01])
def test_a_wrong_dark_offset_bends_the_scale_and_is_no_gain_of_views(beam: str, dark: float) -> None:
    """It makes views differ in scale as far as their dense parts lie behind one another."""
    scan = of(beam, "chest")
    bad = with_pedestal(scan, dark)
    assert a_sign(bad)
    (found,) = (view_mass if beam == "parallel" else view_gain)(bad)
    assert found.cause == "bent-scale"
    assert ("too little (scatter, hardening" in found.words) == (dark > 0)
    assert found.scan is not None
    assert crooked(found.scan, scan) < 0.5 * crooked(bad, scan)
    assert fit(found.scan).share < fit(bad).share
    (other,) = (view_mass if beam == "parallel" else view_gain)(uneven(beam, "half")[0])
    assert other.cause == "view-gain"


@pytest.mark.sampled(1)
@pytest.mark.parametrize("beam", ["fan", "parallel"])
@pytest.mark.parametrize("subject", ["chest", "ellipses"])
def test_a_hundredth_of_the_open_beam_bends_the_scale_by_what_is_left_over(beam: str, subject: str) -> None:
    """Its views hardly differ in scale, and an image explains it nearly as well: the squares of the data betray it."""
    scan = of(beam, subject)
    assert not list(bent_scale(scan))
    for dark, words in ((0.01, "too little"), (-0.01, "too much")):
        bad = with_pedestal(scan, dark)
        found = next(iter(bent_scale(bad)))
        assert words in found.words
        assert found.scan is not None
        assert crooked(found.scan, scan) < 0.6 * crooked(bad, scan)
    assert not list(bent_scale(with_data(scan, scan.sinogram * gains_of("each"))))


def gains_of(kind: str) -> np.ndarray:
    if kind == "each":
        return 1 + np.random.default_rng(3).normal(0, 0.02, (VIEWS, 1))
    return np.linspace(1, 1.02, VIEWS)[:, None]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("beam", ["fan", "parallel"])
@pytest.mark.parametrize("kind", ["each", "drift"])
def test_a_gain_of_two_percent_is_a_sign_although_an_image_meets_delta(beam: str, kind: str) -> None:
    scan = of(beam, "chest")
    assert a_sign(with_data(scan, scan.sinogram * gains_of(kind)))
    assert not a_sign(scan)


def lagging(beam: str, kept: float) -> Scan:
    scan = of(beam, "chest")
    f = scan.sinogram.astype(float) * (4 / scan.sinogram.max())
    counts = np.maximum(np.random.default_rng(7).poisson(PHOTONS * np.exp(-np.maximum(f, 0))), 1).astype(float)
    for view in range(1, len(counts)):
        counts[view] = (1 - kept) * counts[view] + kept * counts[view - 1]
    return with_data(scan, -np.log(counts / PHOTONS))


@pytest.mark.parametrize("beam", ["fan", "parallel"])
def test_lag_shows_in_the_noise_of_air_and_is_taken_off(beam: str) -> None:
    (found,) = shared_noise(lagging(beam, 0.25))
    assert found.cause == "lag"
    assert "lag, afterglow" in found.words
    honest, mended = lagging(beam, 0.0).sinogram, found.scan
    assert mended is not None
    off = np.linalg.norm(lagging(beam, 0.25).sinogram - honest)
    assert np.linalg.norm(mended.sinogram - honest) < 0.4 * off
    assert not list(shared_noise(mended)), "and is gone"
    assert not list(shared_noise(lagging(beam, 0.0)))


@pytest.mark.long
@pytest.mark.parametrize("beam", ["fan", "parallel"])
def test_lag_is_a_doubt_of_a_scan_that_an_image_explains(beam: str) -> None:
    found = doubts_about(lagging(beam, 0.25), met=True)
    assert found is not None
    assert [one.cause for one in found.findings] == ["lag"]
    assert doubts_about(lagging(beam, 0.0), met=True) is None


def test_what_stays_for_long_is_no_lag() -> None:
    scan = lagging("fan", 0.0)
    rings = 0.02 * np.random.default_rng(1).standard_normal(scan.sinogram.shape[1])
    assert not list(shared_noise(with_data(scan, scan.sinogram + rings)))
    drift = np.random.default_rng(2).standard_normal(scan.sinogram.shape).cumsum(axis=0)
    assert not list(shared_noise(with_data(scan, scan.sinogram + 0.01 * drift)))
