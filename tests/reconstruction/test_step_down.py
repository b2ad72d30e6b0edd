"""An image that meets delta so narrowly that rounding hides the proof takes a step further and is certified."""

from __future__ import annotations

from dataclasses import replace

from dicom_series import letter, reconstruct

from ctrecon.certificates.feasible import NotCertified, certify
from ctrecon.reconstruction.conclude import conclude
from ctrecon.reconstruction.problem import Outcome, Problem, prepare


def narrow(share: float) -> tuple[Problem, Outcome]:
    """A problem whose delta is ``share`` of the residual of the image."""
    first = reconstruct(letter(), photons=1e4)
    problem = prepare(first.problem.scan, replace(first.problem.delta, value=first.residual * share))
    return problem, first.outcome


def test_an_image_that_rounding_cannot_decide_is_certified_after_a_step() -> None:
    problem, outcome = narrow(1 + 1e-13)
    scan, delta = problem.scan, problem.delta.value
    alone = certify(outcome.image, scan.sinogram, scan.geometry, scan.grid, delta, weights=problem.weights)
    assert isinstance(alone, NotCertified)
    assert alone.residual <= delta
    found = conclude(problem, outcome)
    assert found.certificate is not None
    assert (1 - 1e-4) * delta < found.residual < delta


def test_an_image_that_misses_delta_is_left_as_it_is() -> None:
    problem, outcome = narrow(1 - 1e-6)
    found = conclude(problem, outcome)
    assert found.certificate is None
    assert found.image is outcome.image
