"""A part of factor 0 costs nothing, and still says what the data are."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ctrecon.energies.base import Energy, SumEnergy


class Quadratic(Energy):
    def value(self, u: Tensor) -> Tensor:
        return (u**2).flatten(1).sum(1) / 2


class Forbidden(Energy):
    """Whatever asks for it fails."""

    def value(self, u: Tensor) -> Tensor:
        raise AssertionError("computed")


def every_number(energy: Energy) -> list[Tensor]:
    u = torch.arange(6.0).reshape(1, 1, 2, 3)
    point = energy.at(u)
    ray = point.along(-point.gradient)
    tau = torch.tensor([[0.25]], dtype=torch.float64)
    moved = ray.move(tau)
    return [point.value, point.gradient, point.doubt, ray.slope, ray.curvature, ray.value(tau), moved.value]


def test_a_part_of_factor_0_is_not_computed() -> None:
    plain = every_number(Quadratic())
    for parts in (((1.0, Quadratic()), (0.0, Forbidden())), ((0.0, Forbidden()), (1.0, Quadratic()))):
        for found, expected in zip(every_number(SumEnergy(parts)), plain, strict=True):
            assert torch.equal(found, expected)
    with pytest.raises(AssertionError, match="computed"):
        every_number(SumEnergy(((1.0, Quadratic()), (1e-9, Forbidden()))))


def test_nothing_but_factors_of_0_is_zero() -> None:
    assert not any(bool(one.any()) for one in every_number(SumEnergy(((0.0, Quadratic()), (0.0, Quadratic()))))[:2])
