"""A range as a function of kappa: every point of it holds, and the kappa up to which a sign is certain is right."""

from __future__ import annotations

import math

import cvxpy
import numpy as np
import pytest

from ctrecon.auditing.assumptions import Assumptions, assume
from ctrecon.auditing.audit import Audit
from ctrecon.auditing.curve import Line
from ctrecon.auditing.evidence import read_evidence, single
from ctrecon.auditing.image_set import variation
from ctrecon.auditing.regions import Ring, disc
from ctrecon.certificates.feasible import certify
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.operators.sparse import joseph_matrix
from ctrecon.support.rounded import at_most

GRID = Grid(rows=14, columns=14)
GEOMETRY = ParallelBeam(angles_rad=tuple((math.pi * np.arange(6) / 6 + 0.1).tolist()), detector_count=16)
MATRIX = joseph_matrix(GEOMETRY, GRID, np.float64)
REGION = disc(6, 7, 1.6, GRID.shape, Ring(gap=0.5, width=2.0))
HI = 0.05


@pytest.fixture(scope="module")
def evidence(tmp_path_factory):
    """A certified disc on a plate, its image the truth itself."""
    rng = np.random.default_rng(3)
    truth = np.zeros(GRID.shape, dtype=np.float32)
    truth[2:12, 2:12] = 0.02
    truth[REGION.inside] += 0.008
    clean = (MATRIX @ truth.ravel().astype(float)).reshape(GEOMETRY.shape)
    data = clean + 0.01 * np.abs(clean).mean() * rng.normal(size=clean.shape)
    made = certify(truth, data, GEOMETRY, GRID, 1.02 * float(np.linalg.norm(clean - data)))
    paths = made.write(tmp_path_factory.mktemp("curve") / "u.npy")
    return read_evidence(paths[""])


def limits(evidence, u):
    residual = MATRIX @ cvxpy.reshape(u, (u.size,), order="C") - evidence.data.ravel()
    return [cvxpy.norm(residual) <= evidence.delta, u >= 0, u <= HI]


def roughness(u):
    rows, columns = GRID.shape
    down = cvxpy.vstack([u[1:] - u[:-1], np.zeros((1, columns))])
    right = cvxpy.hstack([u[:, 1:] - u[:, :-1], np.zeros((rows, 1))])
    parts = [cvxpy.reshape(part, (u.size,), order="C") for part in (down, right)]
    return cvxpy.sum(cvxpy.norm(cvxpy.vstack(parts), 2, axis=0))


@pytest.fixture(scope="module")
def audit(evidence):
    kappa = 1.2 * variation(single(evidence.image))
    return Audit(evidence=evidence, assumptions=Assumptions(kappa=kappa, kappa_from="", lo=0.0, hi=HI, hi_from=""))


@pytest.fixture(scope="module")
def answer(audit):
    return audit.ask(REGION, most_iterations=4000)


def test_the_kappa_up_to_which_the_sign_is_certain_is_the_least_tv_of_an_image_without_it(evidence, answer):
    u = cvxpy.Variable(GRID.shape)
    without = cvxpy.sum(cvxpy.multiply(REGION.functional, u)) <= 0
    least = cvxpy.Problem(cvxpy.Minimize(roughness(u)), [*limits(evidence, u), without]).solve(solver="CLARABEL")
    assert answer.curve.sign == 1
    assert 0.97 * least <= answer.certain_up_to <= least * (1 + 1e-6)


@pytest.mark.parametrize("times", [1.0, 1.1, 1.3, 1.6, 2.5])
def test_every_point_of_the_curve_contains_the_true_range(times, evidence, audit, answer):
    kappa = times * audit.own_roughness
    lower, upper = answer.curve.range_at(kappa)
    u = cvxpy.Variable(GRID.shape)
    value = cvxpy.sum(cvxpy.multiply(REGION.functional, u))
    whole = [*limits(evidence, u), roughness(u) <= kappa]
    low, high = (cvxpy.Problem(aim(value), whole).solve(solver="CLARABEL") for aim in (cvxpy.Minimize, cvxpy.Maximize))
    assert lower <= low + 1e-6 * (high - low)
    assert high - 1e-6 * (high - low) <= upper
    # Not only true, but close where it was computed.
    if times == 1.1:
        assert high - low >= 0.8 * (upper - lower)
    assert (lower > 0) <= (kappa < answer.certain_up_to)


def test_the_range_at_the_audits_own_kappa_is_the_certificates(audit, answer):
    lower, upper = answer.curve.range_at(audit.assumptions.kappa)
    assert lower >= answer.certificate.lower
    assert upper == pytest.approx(answer.certificate.upper)


def test_what_is_certain_is_said_beside_the_images_at_hand(audit, answer):
    assert f"TV = {at_most(audit.assumptions.kappa)} 1/mm (1.2 times this image" in audit.condition
    said = audit.certainty(answer)
    assert f"{answer.certain_up_to / audit.own_roughness:.3g} times this image" in said
    assert f"{answer.certain_up_to / audit.least_roughness:.3g} times the smoothest" in said


def test_the_default_kappa_is_above_the_smoothest_image_and_admits_a_truth_rougher_than_it(evidence):
    found = assume(evidence)
    assert found.kappa > variation(evidence.smoothest) * 1.02
    assert "the smoothest image found that meets delta" in found.kappa_from
    assert assume(evidence, learned=True).kappa < found.kappa
    assert "a learned one" in assume(evidence, learned=True).kappa_from
    truth = variation(single(evidence.image))
    assert variation(evidence.smoothest) < truth <= found.kappa  # TV of the smoothest itself would be false


@pytest.mark.long
def test_a_region_of_noise_has_no_certain_sign(audit):
    faint = disc(9, 10, 0.6, GRID.shape, Ring(gap=0.5, width=1.5))
    found = audit.ask(faint, most_iterations=1500)
    assert not found.decided
    assert found.certain_up_to < audit.assumptions.kappa
    assert "no sign is proved" in audit.certainty(found) or "up to TV" in audit.certainty(found)


@pytest.mark.long
def test_a_large_kappa_does_not_hide_the_sign_that_a_small_one_proves(evidence, answer):
    limits = Assumptions(kappa=1e9, kappa_from="", lo=0.0, hi=HI, hi_from="")
    wide = Audit(evidence=evidence, assumptions=limits).ask(REGION, most_iterations=600)
    assert not wide.decided
    assert wide.certain_up_to == pytest.approx(answer.certain_up_to, rel=0.03)


@pytest.mark.parametrize("iterations", [1, 2, 30])
def test_what_is_not_decided_is_not_called_certain(audit, iterations):
    """Also of duals that know nothing of roughness yet, whose bound is the same for every kappa."""
    one = disc(6, 7, 0.2, GRID.shape, Ring(gap=0.5, width=2.0))
    found = audit.ask(one, most_iterations=iterations)
    assert found.decided == (found.certain_up_to > audit.assumptions.kappa)
    assert found.decided or "for every kappa" not in audit.certainty(found)
    both = found.found is not None and found.found[0] <= 0 <= found.found[1]
    assert (found.verdict == "the data do not decide") == both
    assert Line(kappa=1.0, bound=-0.5, slope=0.0).root == -math.inf
    assert Line(kappa=1.0, bound=0.5, slope=0.0).root == math.inf
