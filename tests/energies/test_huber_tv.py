"""Huber-TV: differences and their adjoint, the limit of total variation, the model above it."""

from __future__ import annotations

import pytest
import torch
from energy_examples import BATCH, image
from laws import random_like

from ctrecon.energies.huber_tv import HuberTV, differences, differences_adjoint
from ctrecon.errors import SettingError


def test_differences_and_their_adjoint():
    for spatial in (1, 2, 3):
        u = random_like((2, 1, 3, 4, 5), 0)
        d = differences(u, spatial)
        p = tuple(random_like(tuple(u.shape), 1 + j) for j in range(spatial))
        left = sum(float((a * b).sum()) for a, b in zip(d, p, strict=True))
        assert left == pytest.approx(float((u * differences_adjoint(p)).sum()), rel=1e-12)
    flat = torch.full((1, 1, 4, 5), 0.3)
    assert all(bool((d == 0).all()) for d in differences(flat))


def test_total_variation_of_a_step_in_any_direction_of_the_axes():
    step = torch.zeros(1, 1, 6, 8, dtype=torch.float64)
    step[..., 4:] = 0.5
    epsilon = 0.01
    for u in (step, step.mT.contiguous(), -step):
        rows = 6
        expected = rows * (0.5 - epsilon / 2)
        assert float(HuberTV(epsilon).at(u).value) == pytest.approx(expected, rel=1e-12)


def test_huber_tv_is_isotropic_and_below_tv():
    u = random_like((1, 1, 12, 12), 0)
    dx, dy = differences(u)
    tv = float((dx**2 + dy**2).sqrt().sum())
    values = [float(HuberTV(e).at(u).value) for e in (1e-9, 1e-3, 0.1, 1.0)]
    assert values[0] == pytest.approx(tv, rel=1e-6)
    assert values == sorted(values, reverse=True)
    assert tv < float(dx.abs().sum() + dy.abs().sum())


def test_the_half_quadratic_model_lies_above_huber_tv():
    energy, u = HuberTV(0.02), image()
    d = tuple(0.1 * random_like(tuple(u.shape), 40 + j) for j in range(2))
    ray = energy.at(u).along(*d)
    for seed in range(20):
        tau = 2 * random_like((BATCH, 2), seed)
        model = ray.value(0 * tau) + (ray.slope * tau).sum(1)
        model = model + 0.5 * torch.einsum("bi,bij,bj->b", tau, ray.curvature, tau)
        assert bool((model >= ray.value(tau)).all())
        # Half the curvature is no majoriser: the test can fail.
    tau = torch.full((BATCH, 2), 1e-4, dtype=torch.float64)
    half = ray.value(0 * tau) + (ray.slope * tau).sum(1) + 0.1 * torch.einsum(
        "bi,bij,bj->b", tau, ray.curvature, tau
    )
    assert not bool((half >= ray.value(tau)).all())


def test_huber_tv_refuses_what_it_cannot_use():
    for bad in (0.0, -1.0, float("nan"), float("inf"), torch.tensor([0.1, 0.0])):
        with pytest.raises(SettingError, match="epsilon"):
            HuberTV(bad)
    with pytest.raises(SettingError, match="batch"):
        HuberTV(torch.tensor([0.1, 0.2])).at(image())
    with pytest.raises(SettingError, match="axes"):
        HuberTV(0.1).at(image()[0])
