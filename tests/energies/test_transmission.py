"""The energy of counts: half the deviance, with dead rays, rays without counts and background."""

from __future__ import annotations

import math

import pytest
import torch
from energy_examples import BATCH, BEAM, image, operator

from ctrecon.energies.transmission import Transmission
from ctrecon.errors import SettingError


def test_the_saturated_model_has_energy_zero():
    A, u = operator(), image()
    blank = torch.full((1, 1, *BEAM.shape), 300.0, dtype=torch.float64)
    background = torch.full_like(blank, 3.0)
    exact = blank * torch.exp(-A(u)) + background
    point = Transmission(A, exact, blank, background).at(u)
    assert float(point.value.abs().max()) < 1e-10
    assert float(point.gradient.abs().max()) < 1e-8
    assert point.residual is not None
    assert float(point.residual.abs().max()) < 1e-10
    assert bool((Transmission(A, exact + 5, blank, background).at(u).value > 1).all())


def test_the_energy_is_half_the_deviance():
    A, u = operator(), image()
    blank = torch.full((1, 1, *BEAM.shape), 500.0, dtype=torch.float64)
    counts = torch.poisson(blank * torch.exp(-A(u)), generator=torch.Generator().manual_seed(0))
    rays = counts[0].numel()
    deviance = 2 * Transmission(A, counts, blank).at(u).value
    assert bool(((deviance - rays).abs() < 5 * math.sqrt(2 * rays)).all())


def test_dead_rays_and_rays_without_counts():
    A, u = operator(), image()
    blank = torch.full((1, 1, *BEAM.shape), 100.0, dtype=torch.float64)
    blank[..., 3] = 0
    counts = torch.zeros(BATCH, 1, *BEAM.shape, dtype=torch.float64)
    energy = Transmission(A, counts, blank)
    point = energy.at(u)
    torch.testing.assert_close(point.value, (blank * torch.exp(-A(u))).flatten(1).sum(1))
    assert point.residual is not None
    assert bool(torch.isfinite(point.residual).all())
    assert bool((point.residual[..., 3] == 0).all())
    # A ray without counts stands for half a count.
    torch.testing.assert_close(point.residual[..., 4], A(u)[..., 4] - math.log(200))
    assert bool(torch.isfinite(point.gradient).all())


def test_transmission_refuses_what_it_cannot_use():
    A = operator()
    y = torch.ones(BATCH, 1, *BEAM.shape, dtype=torch.float64)
    with pytest.raises(SettingError, match="counts"):
        Transmission(A, -y, y)
    with pytest.raises(SettingError, match="blank scan"):
        Transmission(A, y, y * float("nan"))
    with pytest.raises(SettingError, match="background"):
        Transmission(A, y, y, y[..., 1:])
    with pytest.raises(SettingError, match="neither"):
        Transmission(A, y, 0 * y)
