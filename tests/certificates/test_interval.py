"""Certified ranges: they contain the true one, are close to it, and hold for whatever duals they are made from."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import cvxpy
import numpy as np
import pytest
import torch

from ctrecon.auditing.audit import write_answers
from ctrecon.auditing.image_set import ImageSet, variation
from ctrecon.auditing.primal_dual import CHECK, _level, smallest
from ctrecon.auditing.regions import Ring, disc
from ctrecon.certificates import verify
from ctrecon.certificates.interval import Dual, Empty, IntervalCertificate, certify_interval, prove_end
from ctrecon.errors import InputError, OutputError, SettingError
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.operators.sparse import SparseOperator, joseph_matrix

GRID = Grid(rows=12, columns=12)
GEOMETRY = ParallelBeam(angles_rad=tuple((math.pi * np.arange(8) / 8 + 0.1).tolist()), detector_count=14)
OPERATOR = {"projector": "joseph", "geometry": GEOMETRY.to_dict(), "grid": GRID.to_dict()}
MATRIX = joseph_matrix(GEOMETRY, GRID, np.float64)
REGION = disc(5, 6, 1.6, GRID.shape, Ring(gap=0.5, width=2.0))
C = REGION.functional
LO, HI = 0.0, 0.05


def scan(contrast, noise=0.01, seed=0, weighted=False):
    """Truth, data and weights of a disc on a plate, and delta and kappa that the truth meets exactly."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(GRID.shape)
    truth[2:10, 2:10] = 0.02
    truth[REGION.inside] += contrast
    clean = (MATRIX @ truth.ravel()).reshape(GEOMETRY.shape)
    sigma = noise * np.abs(clean).mean() * (1 + (rng.random(clean.shape) if weighted else np.zeros(clean.shape)))
    f = clean + sigma * rng.normal(size=clean.shape)
    w = 1 / sigma**2 if weighted else None
    delta = float(np.linalg.norm((clean - f) * (1 if w is None else np.sqrt(w))))
    return truth, f, w, delta, variation(torch.from_numpy(truth)[None, None])


def image_set(f, w, delta, kappa, hi=HI):
    operator = SparseOperator(MATRIX, (1, *GRID.shape), (1, *GEOMETRY.shape), dtype=torch.float64)
    tensors = [None if a is None else torch.from_numpy(a)[None, None] for a in (f, w)]
    return ImageSet(operator=operator, data=tensors[0], weights=tensors[1], delta=delta, kappa=kappa, lo=LO, hi=hi)


def stated(f, w, hi=HI):
    return verify.Problem(OPERATOR, None, (f, w), LO, hi)


def solve(f, w, delta, kappa, iterations=6000):
    images = image_set(f, w, delta, kappa)
    c = torch.from_numpy(C)[None, None]

    def finished(bound, found):
        return ((found - bound).sum() <= 0.005 * -bound.sum()).expand(2)

    ends = smallest(
        images, torch.cat([c, -c]), finished=finished, inside=images.interior(), most_iterations=iterations
    )
    return [Dual(y=ends.y[i, 0].numpy(), p=ends.p[i].numpy()) for i in range(2)], ends


def certified(f, w, delta, kappa, duals, region="a disc"):
    norm = "2-norm" if w is None else "whitened"
    return certify_interval(stated(f, w), norm, delta, kappa, C, *duals, region=region)


def oracle(f, w, delta, kappa):
    """The range by an independent interior-point solver."""
    u = cvxpy.Variable(GRID.shape)
    root = np.ones(f.size) if w is None else np.sqrt(w).ravel()
    residual = cvxpy.multiply(root, MATRIX @ cvxpy.reshape(u, (u.size,), order="C") - f.ravel())
    down, right = (cvxpy.reshape(part, (u.size,), order="C") for part in (
        cvxpy.vstack([u[1:] - u[:-1], np.zeros((1, 12))]), cvxpy.hstack([u[:, 1:] - u[:, :-1], np.zeros((12, 1))])
    ))
    rough = cvxpy.sum(cvxpy.norm(cvxpy.vstack([down, right]), 2, axis=0))
    limits = [cvxpy.norm(residual) <= delta, rough <= kappa, u >= LO, u <= HI]
    value = cvxpy.sum(cvxpy.multiply(C, u))
    return [
        cvxpy.Problem(aim(value), limits).solve(solver="CLARABEL") for aim in (cvxpy.Minimize, cvxpy.Maximize)
    ]


CASES = {"decided": (0.01, 0.01, False), "undecided": (0.0005, 0.2, False), "whitened": (0.008, 0.02, True)}


@pytest.mark.sampled(1)
@pytest.mark.parametrize("case", CASES)
def test_the_certified_range_contains_the_oracles_and_is_within_two_percent(case, tmp_path):
    contrast, noise, weighted = CASES[case]
    truth, f, w, delta, kappa = scan(contrast, noise, weighted=weighted)
    delta, kappa = 1.01 * delta, 1.01 * kappa
    duals, ends = solve(f, w, delta, kappa)
    made = certified(f, w, delta, kappa, duals)
    low, high = oracle(f, w, delta, kappa)
    size = high - low
    assert made.lower <= low + 1e-6 * size
    assert made.upper >= high - 1e-6 * size
    assert made.upper - made.lower <= 1.02 * size
    # What was found is really reached, so it lies inside.
    assert low - 1e-5 * size <= float(ends.found[0]) <= low + 0.02 * size
    assert high - 0.02 * size <= -float(ends.found[1]) <= high + 1e-5 * size
    assert made.lower <= (C * truth).sum() <= made.upper
    assert (made.lower > 0) is (case != "undecided")
    # A stranger agrees, from the files.
    paths = made.write_labelled(tmp_path / "u.npy", "disc-5-6")
    assert paths[""].name == "u.disc-5-6.certificate.json"
    assert verify.check(paths[""]).valid, verify.check(paths[""]).reason
    assert verify.check(paths[""]).statement == made.statement


def test_broken_duals_are_worse_and_still_hold():
    truth, f, w, delta, kappa = scan(0.01)
    duals, _ = solve(f, w, delta, kappa)
    made = certified(f, w, delta, kappa, duals)
    rng = np.random.default_rng(1)
    for size in (1e-3, 1e-1, 10):
        broken = [Dual(y=d.y + size * np.abs(d.y).max() * rng.normal(size=d.y.shape), p=d.p) for d in duals]
        worse = certified(f, w, delta, kappa, broken)
        assert worse.lower < made.lower
        assert worse.upper > made.upper
    flipped = certified(f, w, delta, kappa, duals[::-1])
    assert flipped.lower < made.lower <= (C * truth).sum() <= made.upper < flipped.upper
    # A bound that left delta out would exclude the truth: the test above is no accident of a wide range.
    without = prove_end(stated(f, w), 0.0, 0.0, C, duals[0])
    assert without > (C * truth).sum()


@pytest.mark.parametrize("weighted", [False, True])
def test_no_duals_exclude_an_image_of_the_set(weighted):
    rng = np.random.default_rng(2)
    truth, f, w, delta, kappa = scan(0.006, weighted=weighted, seed=3)
    value = (C * truth).sum()
    for _ in range(150):
        y = rng.normal(size=f.shape) * 10 ** rng.uniform(-6, 2)
        p = rng.normal(size=(2, 12, 12)) * 10 ** rng.uniform(-6, 2)
        assert prove_end(stated(f, w), delta * (1 + 1e-12), kappa * (1 + 1e-12), C, Dual(y=y, p=p)) <= value


def test_the_bound_is_the_one_that_is_written():
    """Against the formula of the documentation, with a matrix of another making."""
    rng = np.random.default_rng(4)
    _, f, w, delta, kappa = scan(0.006, weighted=True)
    y, p = rng.normal(size=f.shape), rng.normal(size=(2, 12, 12))
    step = np.eye(12, k=1) - np.eye(12)
    step[-1] = 0
    d0, d1 = np.kron(step, np.eye(12)), np.kron(np.eye(12), step)
    root = np.sqrt(w).ravel()
    s = C.ravel() + MATRIX.T @ (root * y.ravel()) + d0.T @ p[0].ravel() + d1.T @ p[1].ravel()
    expected = (
        np.minimum(LO * s, HI * s).sum() - y.ravel() @ (root * f.ravel()) - delta * np.linalg.norm(y)
        - kappa * np.hypot(p[0], p[1]).max()
    )  # fmt: skip
    assert prove_end(stated(f, w), delta, kappa, C, Dual(y=y, p=p)) == pytest.approx(expected, rel=1e-6)


def test_an_empty_set_is_proved_to_be_empty():
    _, f, w, delta, kappa = scan(0.01)
    images = image_set(f, w, delta, kappa / 3)
    assert images.interior() is None
    c = torch.from_numpy(C)[None, None]
    ends = smallest(
        images, torch.cat([c, -c]), finished=lambda bound, _: (bound[0] > -bound[1]).expand(2), most_iterations=4000
    )
    duals = [Dual(y=ends.y[i, 0].numpy(), p=ends.p[i].numpy()) for i in range(2)]
    made = certified(f, w, delta, kappa / 3, duals)
    assert isinstance(made, Empty)
    assert made.lower > made.upper
    assert isinstance(certified(f, w, delta, kappa, duals), IntervalCertificate)


def test_many_functionals_at_once_are_as_one_by_one():
    _, f, w, delta, kappa = scan(0.006)
    images = image_set(f, w, 1.02 * delta, 1.02 * kappa)
    inside = images.interior()
    c = torch.from_numpy(np.stack([C, np.roll(C, 2, 1), -C]))[:, None]

    def finished(bound, found):
        return found - bound <= 1e-4

    together = smallest(images, c, finished=finished, inside=inside)
    for k in range(3):
        alone = smallest(images, c[k : k + 1], finished=finished, inside=inside)
        assert float(alone.bound[0]) == pytest.approx(float(together.bound[k]), abs=2e-5)
        assert int(alone.iterations[0]) % CHECK == 0


def test_the_level_cuts_off_what_it_should():
    sizes = torch.rand(5, 40, dtype=torch.float64)
    most = torch.tensor([0.1, 1.0, 5.0, 19.0, 1e9], dtype=torch.float64)
    for start in (0.0, 0.5, 0.99, 3.0):
        theta = _level(sizes, most, torch.full((5,), start, dtype=torch.float64))
        above = (sizes - theta[:, None]).clamp_min(0).sum(1)
        torch.testing.assert_close(above[:4], torch.minimum(most, sizes.sum(1))[:4], rtol=1e-4, atol=1e-4)
        assert float(theta[4]) == 0


def test_what_cannot_be_is_refused(tmp_path):
    _, f, w, delta, kappa = scan(0.01)
    good = Dual(y=np.zeros_like(f), p=np.zeros((2, 12, 12)))
    for bad in (Dual(y=f[:3], p=good.p), Dual(y=f * np.nan, p=good.p), Dual(y=f, p=good.p[:1])):
        with pytest.raises(InputError, match="must be finite and of shape"):
            certified(f, w, delta, kappa, [good, bad])
    made = certified(f, w, delta, kappa, [good, good])
    assert made.lower <= -0.9 * HI  # without duals there is only the box
    for label in ("../up", "", "a b", "x" * 81):
        with pytest.raises(OutputError, match="label"):
            made.write_labelled(tmp_path / "u.npy", label)
        # Of an audit's certificates all are written or none.
        answers: Any = [SimpleNamespace(certificate=made, region=SimpleNamespace(label=one)) for one in ("good", label)]
        nobody: Any = None
        with pytest.raises(OutputError, match="label"):
            write_answers(nobody, answers, image=tmp_path / "u.npy")
    assert not list(tmp_path.iterdir())
    for name, value in (("delta", 0.0), ("kappa", math.nan), ("hi", LO)):
        with pytest.raises(SettingError):
            image_set(f, w, **{"delta": delta, "kappa": kappa, name: value})
