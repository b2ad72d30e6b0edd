"""SIRT, OS-SART, MLEM and FISTA-TV: what each of them promises, and that delta ends it with a certificate."""

from __future__ import annotations

from functools import cache
from itertools import islice

import numpy as np
import pytest
import torch
from scipy import sparse

import ctrecon as ct
from ctrecon.classical.fista_tv import denoised
from ctrecon.classical.mlem import mlem_iterates
from ctrecon.classical.sirt import sirt_iterates
from ctrecon.energies.huber_tv import differences
from ctrecon.operators.sparse import SparseOperator

NEW = ("sirt", "os-sart", "mlem", "fista-tv")


@cache
def made() -> ct.Simulated:
    return ct.simulate("head", size=40, views=40, noise=0.02, seed=5)


def decibels(image: np.ndarray) -> float:
    truth = made().truth
    return float(20 * np.log10(np.ptp(truth) / np.sqrt(np.mean((image.astype(float) - truth) ** 2))))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("method", NEW)
def test_delta_ends_it_with_a_certificate_before_it_fits_the_noise(method: str) -> None:
    found = ct.reconstruct(made().scan, method=method)
    assert found.certified
    assert found.reason == "discrepancy met"
    assert found.image.min() >= 0
    residuals = [one.residual for one in found.history]
    assert residuals[-1] > 0.7 * found.delta.value, "it goes no further than it must"
    assert decibels(found.image) > decibels(np.zeros_like(found.image)) + 6
    short = ct.reconstruct(made().scan, method=method, iterations=1)
    assert not short.certified
    assert short.reason in ("iterations spent", "no image in the box meets delta")


@pytest.mark.parametrize("method", NEW)
def test_a_matrix_alone_will_do(method: str) -> None:
    rng = np.random.default_rng(0)
    matrix = sparse.random(20 * 12, 64, 0.3, "csr", rng=rng)
    f = (matrix @ rng.random(64)).reshape(20, 12)
    found = ct.reconstruct(ct.Scan(f, matrix=matrix), method=method, delta="15%")
    assert found.certified


def small(seed: int = 0) -> tuple[SparseOperator, torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    matrix = sparse.csr_matrix(rng.random((30, 16)) * (rng.random((30, 16)) < 0.5))
    operator = SparseOperator(matrix, (1, 4, 4), (1, 5, 6))
    u = torch.from_numpy(rng.random((1, 1, 4, 4)) + 0.2).float()
    return operator, u, operator(u)


@pytest.mark.long
def test_sirt_and_mlem_find_the_image_that_explains_all() -> None:
    operator, _, f = small()
    for iterates in (sirt_iterates(operator, f), mlem_iterates(operator, f)):
        first, *_, last = (one.residual.norm() for one in islice(iterates, 3000))
        assert last < 0.01 * first
        assert last < 0.02 * f.norm()


def test_a_ray_of_weight_zero_is_not_seen() -> None:
    operator, _, f = small()
    weights = torch.ones_like(f)
    weights[0, 0, 2, 3] = 0
    wrong = f.clone()
    wrong[0, 0, 2, 3] = 40
    for make in (sirt_iterates, mlem_iterates):
        right, other = (next(islice(make(operator, g, weights), 50, None)).image for g in (f, wrong))
        torch.testing.assert_close(right, other)
        assert (next(islice(make(operator, wrong), 50, None)).image - right).abs().max() > 0.05


def test_mlem_keeps_the_sum_of_the_data() -> None:
    """``sum_j u_j (A^T 1)_j = sum_i f_i`` after every step."""
    operator, _, f = small()
    sums = operator.adjoint(torch.ones_like(f))
    for now in islice(mlem_iterates(operator, f), 1, 6):
        assert float((now.image * sums).sum()) == pytest.approx(float(f.sum()), rel=1e-4)


def test_denoising_minimises_what_it_says() -> None:
    u = torch.from_numpy(np.random.default_rng(1).random((1, 1, 12, 12)))
    dual = tuple(torch.zeros_like(p) for p in differences(u))
    v = u
    for _ in range(20):
        v, dual = denoised(u, 0.1, dual)

    def value(image: torch.Tensor) -> float:
        jumps = torch.stack(differences(image)).square().sum(0).sqrt().sum()
        return float((image - u).square().sum() / 2 + 0.1 * jumps)

    for seed in range(5):
        away = 1e-3 * torch.from_numpy(np.random.default_rng(seed).standard_normal((1, 1, 12, 12)))
        assert value((v + away).clamp_min(0)) > value(v)
    assert value(v) < min(value(u), value(torch.full_like(u, float(u.mean()))))
