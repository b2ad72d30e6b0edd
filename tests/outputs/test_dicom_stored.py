"""Sixteen bits in Hounsfield units: nothing clips, the formula is the one that is written down, delta still holds."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from dicom_series import letter, reconstruct
from hypothesis import given, settings
from hypothesis import strategies as st

from ctrecon.certificates.feasible import NotCertified, certify
from ctrecon.dicom.common.hounsfield import HounsfieldScale, finest_scale, hounsfield
from ctrecon.errors import InputError, SettingError
from ctrecon.outputs.stored_pixels import certify_stored
from ctrecon.reconstruction.conclude import Conclusion, conclude


@settings(max_examples=60, deadline=None)
@given(
    low=st.floats(-1e5, 1e5), width=st.floats(0, 1e6), water=st.sampled_from([0.0096, 0.02, 0.19, 1.0]),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_nothing_clips_and_rounding_is_half_a_step(low: float, width: float, water: float, seed: int) -> None:
    hu = np.random.default_rng(seed).uniform(low, low + width, (5, 7))
    image = (water * (1 + hu / 1000)).astype(np.float32)
    scale = finest_scale([image], water)
    stored = scale.store(image)
    error = np.abs(hounsfield(scale.decode(stored), water) - hounsfield(image, water))
    assert error.max() <= scale.slope / 2 * (1 + 1e-6) + 1e-9 * (abs(low) + width + 1000)
    # The slope is a power of two, and half of it would not hold the image.
    assert np.log2(scale.slope) % 1 == 0
    assert scale.slope == 1 / 64 or (hu.max() - hu.min() + 12) / (scale.slope / 2) > 65535


def test_the_formula_is_the_one_that_is_written_down() -> None:
    """Exact arithmetic, rounded after each of the steps that the documentation names, gives the same bits."""
    scale = HounsfieldScale(water_mu=0.0193, slope=0.0625, intercept=-1031.0)
    levels = np.array([0, 1, 17, 16496, 65535], dtype=np.uint16)
    for level, decoded in zip(levels, scale.decode(levels), strict=True):
        hu = float(Fraction(int(level)) * Fraction(0.0625) - 1031)
        assert Fraction(hu) == Fraction(int(level)) / 16 - 1031
        share = float(Fraction(hu) / 1000)
        total = float(1 + Fraction(share))
        assert decoded == float(Fraction(0.0193) * Fraction(total))


def test_clinical_values_have_a_sixteenth_of_a_unit_and_the_usual_intercept() -> None:
    image = 0.02 * (1 + np.linspace(-1000, 3000, 100) / 1000)
    assert finest_scale([image], 0.02) == HounsfieldScale(water_mu=0.02, slope=1 / 16, intercept=-1024.0)


def test_values_beyond_the_scale_are_refused_not_clipped() -> None:
    scale = finest_scale([np.array([[0.0, 0.03]])], 0.02)
    for wrong in (-0.01, 0.1, np.nan):
        with pytest.raises(InputError, match="16 bits"):
            scale.store(np.array([[wrong]]))
    for water in (0.0, -0.02, np.inf, np.nan):
        with pytest.raises(SettingError, match="water_mu"):
            finest_scale([np.zeros((1, 1))], water)
    with pytest.raises(InputError, match="--water-mu"):
        finest_scale([np.full((1, 1), 1e9)], 0.02)


def at_its_own_residual(result: Conclusion) -> Conclusion:
    """The same image with delta put a hair above its residual: rounding as good as always breaks it."""
    delta = replace(result.problem.delta, value=result.residual * (1 + 1e-6))
    return conclude(replace(result.problem, delta=delta), result.outcome)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("photons", [None, 2e5])
@pytest.mark.parametrize("slope", [1 / 16, 1, 16])
def test_rounding_breaks_a_certificate_and_a_step_down_mends_it(photons: float | None, slope: float) -> None:
    result = at_its_own_residual(reconstruct(letter(1), photons=photons, share=1.2))
    assert result.certified
    scale = replace(finest_scale([result.image], 0.02), slope=slope, intercept=-1500.0)
    scan, delta = result.problem.scan, result.problem.delta.value
    plain = scale.decode(scale.store(result.image))
    broken = certify(plain, scan.sinogram, scan.geometry, scan.grid, delta, weights=result.problem.weights)
    mended = certify_stored(result, scale)
    assert mended.result.certified
    if isinstance(broken, NotCertified):
        assert mended.steps >= 1
    else:
        assert mended.steps == 0
    assert mended.result.residual <= delta
    # As little as needed: the image moves by less than a few of the steps that it is rounded to.
    moved = np.abs(hounsfield(scale.decode(mended.stored), 0.02) - hounsfield(result.image, 0.02))
    assert moved.mean() < 3 * slope


def test_most_of_these_are_broken_by_rounding() -> None:
    broken = 0
    for k in range(4):
        result = at_its_own_residual(reconstruct(letter(k)))
        broken += certify_stored(result, finest_scale([result.image], 0.02)).steps > 0
    assert broken >= 1


def test_a_scale_too_coarse_for_delta_is_said_not_hidden() -> None:
    result = reconstruct(letter())
    coarse = HounsfieldScale(water_mu=0.02, slope=256, intercept=-2000.0)
    stored = certify_stored(result, coarse)
    assert result.certified
    assert not stored.result.certified
    assert stored.result.residual > result.problem.delta.value
    assert stored.result.outcome.reason == "met before the pixels were rounded to 256 HU"


def test_an_image_that_missed_delta_is_left_alone() -> None:
    result = reconstruct(letter(), share=1e-3)
    scale = finest_scale([result.image], 0.02)
    stored = certify_stored(result, scale)
    assert stored.steps == 0
    np.testing.assert_array_equal(stored.stored, scale.store(result.image))
