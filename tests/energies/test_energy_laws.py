"""Every energy obeys the laws of tests/laws.py; a broken one does not."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from energy_examples import BATCH, BEAM, EXAMPLES, GRID, Example, huber_tv, image, least_squares
from laws import check_energy, check_samples_independent, classes_in, random_like
from torch import Tensor

import ctrecon.energies
from ctrecon.energies.base import Energy, Point, Ray, SumEnergy
from ctrecon.energies.huber_tv import HuberTV
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.energies.transmission import Transmission
from ctrecon.errors import SettingError
from ctrecon.operators.sparse import sparse_operator

FOUND: list[type[Energy]] = classes_in(ctrecon.energies, Energy)


def examples() -> list[object]:
    return [
        pytest.param(make, number, id=f"{kind.__name__}-{number}")
        for kind, make in EXAMPLES.items()
        for number in range(len(make()))
    ]


@pytest.mark.parametrize("kind", FOUND, ids=lambda kind: kind.__name__)
def test_every_energy_has_an_example(kind: type[Energy]):
    assert kind in EXAMPLES, (
        f"{kind.__name__} is an energy without a test: write a function that returns a list of Example "
        f"(float64, batch {BATCH}) and add it to EXAMPLES in tests/energy_examples.py"
    )


def test_the_search_finds_energies():
    assert {LeastSquares, HuberTV, Transmission, SumEnergy} <= set(FOUND)


@pytest.mark.parametrize(("make", "number"), examples())
def test_laws(make: Callable[[], list[Example]], number: int):
    example = make()[number]
    check_energy(example.energy, example.u, quadratic=example.quadratic)
    check_samples_independent(example.energy, example.single, example.u)


@pytest.mark.parametrize(("make", "number"), examples())
def test_sums_and_multiples(make: Callable[[], list[Example]], number: int):
    example = make()[number]
    energy, u = example.energy, example.u
    other = HuberTV(0.03)
    total = 2.5 * energy + 0.5 * (other + 2.0 * other)
    assert isinstance(total, SumEnergy)
    point, parts = total.at(u), (energy.at(u), other.at(u))
    torch.testing.assert_close(point.value, 2.5 * parts[0].value + 1.5 * parts[1].value, rtol=1e-13, atol=0)
    torch.testing.assert_close(point.gradient, 2.5 * parts[0].gradient + 1.5 * parts[1].gradient)
    assert total.lipschitz_at(u) == pytest.approx(2.5 * energy.lipschitz_at(u) + 1.5 * other.lipschitz)
    assert (total.lipschitz is None) == (energy.lipschitz is None)
    d = random_like(tuple(u.shape), 3)
    ray, rays = point.along(d), (parts[0].along(d), parts[1].along(d))
    torch.testing.assert_close(ray.slope, 2.5 * rays[0].slope + 1.5 * rays[1].slope)
    torch.testing.assert_close(ray.curvature, 2.5 * rays[0].curvature + 1.5 * rays[1].curvature)
    for factor in (-1.0, float("nan"), float("inf")):
        with pytest.raises(SettingError, match="factor"):
            factor * energy


class Broken(Energy):
    """An energy with one thing wrong, to see the laws notice."""

    def __init__(self, energy: Energy, fault: str) -> None:
        self.energy, self.fault = energy, fault

    def at(self, u: Tensor) -> Point:
        return BrokenPoint(self.energy.at(u), self.fault)

    @property
    def lipschitz(self) -> float:
        return self.energy.lipschitz * (0.2 if self.fault == "lipschitz" else 1)


class BrokenPoint(Point):
    def __init__(self, point: Point, fault: str) -> None:
        super().__init__(point.u, point.last_step)
        self.point, self.fault = point, fault

    @property
    def value(self) -> Tensor:
        return -self.point.value if self.fault == "concave" else self.point.value

    @property
    def gradient(self) -> Tensor:
        factor = {"gradient": 1.001, "concave": -1.0}.get(self.fault, 1.0)
        return factor * self.point.gradient

    @property
    def residual(self) -> Tensor | None:
        return self.point.residual

    @property
    def discrepancy(self) -> Tensor | None:
        return self.point.discrepancy

    def along(self, *directions: Tensor) -> Ray:
        return BrokenRay(self.point.along(*directions), self.fault)


class BrokenRay(Ray):
    def __init__(self, ray: Ray, fault: str) -> None:
        super().__init__(ray.directions)
        self.ray, self.fault = ray, fault

    @property
    def slope(self) -> Tensor:
        return self.ray.slope * {"slope": 1.001, "concave": -1.0}.get(self.fault, 1.0)

    @property
    def curvature(self) -> Tensor:
        return self.ray.curvature * {"indefinite": -1.0, "curvature": 1.001}.get(self.fault, 1.0)

    def value(self, tau: Tensor) -> Tensor:
        value = self.ray.value(tau)
        if self.fault == "offset":
            value = value + 1e-3
        return -value if self.fault == "concave" else value

    def move(self, tau: Tensor) -> Point:
        return BrokenPoint(self.ray.move(1.001 * tau if self.fault == "move" else tau), self.fault)

    def discrepancy(self, tau: Tensor) -> Tensor | None:
        return self.ray.discrepancy(tau)

    def reach(self, tau: Tensor, delta: Tensor) -> Tensor | None:
        t = self.ray.reach(tau, delta)
        if t is None or self.fault != "second root":
            return t
        # The other intersection with the sphere: the two lie about the least discrepancy.
        least = -(self.ray.slope * tau).sum(1) / torch.einsum("bi,bij,bj->b", tau, self.ray.curvature, tau)
        return 2 * least - t


FAULTS = ["gradient", "slope", "concave", "indefinite", "curvature", "offset", "move", "lipschitz", "second root"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_energy_fails_the_laws(fault: str):
    example = least_squares()[0]
    check_energy(Broken(example.energy, "none"), example.u, quadratic=True)
    with pytest.raises(AssertionError):
        check_energy(Broken(example.energy, fault), example.u, quadratic=True)


def test_mixed_samples_fail_the_law_of_independence():
    example = huber_tv()[1]
    check_samples_independent(example.energy, example.single, example.u)
    with pytest.raises(AssertionError):
        check_samples_independent(example.energy, example.single[::-1], example.u)


def test_float32_images_give_float64_values():
    A = sparse_operator(BEAM, GRID)
    f = random_like((BATCH, 1, *BEAM.shape), 1, torch.float32)
    energy = LeastSquares(A, f) + 0.1 * HuberTV(0.02)
    ray = energy.at(image().float()).along(image(5).float())
    assert ray.slope.dtype == ray.value(torch.zeros(BATCH, 1)).dtype == torch.float64
