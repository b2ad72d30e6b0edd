"""Views at other angles than stated: seen in what is left over, named, and brought back by the data themselves."""

from __future__ import annotations

import dataclasses
import math
from functools import cache

import numpy as np
import pytest

import ctrecon as ct
from ctrecon.diagnosis.causes.angle_errors import angle_errors
from ctrecon.diagnosis.causes.angle_stretch import angle_stretch
from ctrecon.diagnosis.diagnose import Diagnosis, Finding
from ctrecon.diagnosis.fit import fit
from ctrecon.errors import InputError
from ctrecon.measurement.scan import Scan
from ctrecon.workbench.diagnose import mended

VIEWS = 72


@cache
def honest(beam: str = "parallel", phantom: str = "polygons") -> Scan:
    return ct.simulate(phantom, beam=beam, size=64, views=VIEWS, noise=0.007, seed=5).scan


def angles_of(scan: Scan) -> np.ndarray:
    return np.asarray(scan.geometry.angles_rad)  # type: ignore[union-attr]


def stated(scan: Scan, angles: np.ndarray) -> Scan:
    geometry = dataclasses.replace(scan.geometry, angles_rad=tuple(float(angle) for angle in angles))  # type: ignore[type-var]
    return dataclasses.replace(scan, geometry=geometry)


STEP = 2 * math.pi / VIEWS
OFF = {
    "uneven": np.random.default_rng(2).normal(0, math.radians(1.0), VIEWS),
    "every second view late": (np.arange(VIEWS) % 2) * 0.5 * STEP,
    "a slip half way": (np.arange(VIEWS) > VIEWS // 2) * STEP,
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("kind", OFF)
@pytest.mark.parametrize("beam", ["fan", "parallel"])
def test_views_that_stand_elsewhere_are_found_and_brought_back(kind: str, beam: str) -> None:
    assert not list(angle_errors(honest(beam)))
    bad = stated(honest(beam), angles_of(honest(beam)) + OFF[kind])
    found = next(iter(angle_errors(bad)))
    assert found.cause == "angles-uneven"
    assert found.scan is not None
    assert found.scan.grid == bad.grid
    left = angles_of(found.scan) - angles_of(honest(beam))
    # From view to view: all turned alike are the object turned, and what drifts slowly the image follows.
    assert np.std(np.diff(left)) < 0.6 * np.std(np.diff(OFF[kind]))


@pytest.mark.long
def test_uneven_steps_are_named_first_and_said_although_an_image_meets_delta() -> None:
    bad = stated(honest(), angles_of(honest()) + OFF["every second view late"])
    result = ct.reconstruct(bad, delta="auto", method="cgls")
    assert result.structure is not None
    assert {one.name: one for one in result.structure.traits}["turns"].p_value < 0.001
    assert result.conclusion.doubts is not None
    assert result.conclusion.doubts.findings[0].cause == "angles-uneven"
    right = ct.reconstruct(honest(), delta="auto", method="cgls")
    assert right.structure is not None
    assert {one.name: one for one in right.structure.traits}["turns"].p_value > 0.01


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("factor", "words"), [(0.9, "gradians taken for degrees"), (1 / 1.2, "of 432 degrees")])
def test_an_arc_of_another_length_is_measured(factor: float, words: str) -> None:
    scan = honest("fan")
    assert not list(angle_stretch(scan))
    bad = stated(scan, angles_of(scan) / factor)
    (found,) = angle_stretch(bad)
    assert found.scan is not None
    np.testing.assert_allclose(np.ptp(angles_of(found.scan)) / np.ptp(angles_of(scan)), 1, atol=0.001)
    assert fit(found.scan).share < 0.5 * fit(bad).share
    assert words.split()[-1] in found.words or words in found.words


def test_over_many_turns_no_factor_is_sought() -> None:
    """Degrees taken for radians scatter the views over the circle, where some factor always fits a little better."""
    assert not list(angle_stretch(stated(honest(), np.degrees(angles_of(honest())))))


def test_what_stands_behind_a_finding_that_cannot_be_mended_is_not_applied_by_itself() -> None:
    """It explains a part at most: mended by it, the image was no nearer to the truth."""

    def finding(cause: str, scan: Scan | None) -> Finding:
        return Finding(cause=cause, words="so it is", before=0.1, after=0.08, evidence="", mirrored=False, scan=scan)

    both = (finding("unexplained", None), finding("angles-half", honest()))
    found = Diagnosis(source="a scan", fit=fit(honest()), findings=both)
    with pytest.raises(InputError, match=r"the likeliest, unexplained, can only be named.*angles-half.*--cause"):
        mended(found)
    assert mended(found, "angles-half")[0].cause == "angles-half"


def test_a_drift_of_few_degrees_over_half_a_turn_is_named_though_an_image_follows_it() -> None:
    scan = ct.simulate("head", beam="parallel", size=64, views=60, noise=0.01, seed=5).scan
    (found,) = angle_stretch(stated(scan, angles_of(scan) * (1 + 3.5 / 180)))
    assert found.last, "whatever else is found comes before it"
    assert found.scan is not None
    assert angles_of(found.scan)[-1] == pytest.approx(angles_of(scan)[-1], abs=math.radians(1))
