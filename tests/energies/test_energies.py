"""Every energy obeys the laws of tests/laws.py; a broken one does not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from laws import check_energy, check_samples_independent, classes_in, random_like
from torch import Tensor

import ctrecon.energies
from ctrecon.descent.descend import descend
from ctrecon.descent.directions import NegativeGradient
from ctrecon.energies.base import Energy, Point, Ray, SumEnergy
from ctrecon.energies.chain import Chain
from ctrecon.energies.convex_sets import Box, ConvexSet, Fixed, L1Ball, Simplex
from ctrecon.energies.feasibility import Feasibility
from ctrecon.energies.huber_tv import HuberTV, differences, differences_adjoint
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.energies.transmission import Transmission
from ctrecon.errors import SettingError
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.operators.base import Multiple
from ctrecon.operators.pooling import AveragePooling
from ctrecon.operators.sparse import SparseOperator, joseph_matrix, sparse_operator

BATCH = 3
GRID = Grid(rows=9, columns=8, pixel_mm=0.7)
BEAM = ParallelBeam(angles_rad=tuple(np.linspace(0, math.pi, 7, endpoint=False)), detector_count=11)


@dataclass(frozen=True)
class Example:
    """An energy over a batch, the same for each sample alone, a place to look at it, and whether it is quadratic."""

    energy: Energy
    single: list[Energy]
    u: Tensor
    quadratic: bool = False


def operator() -> SparseOperator:
    return sparse_operator(BEAM, GRID, dtype=torch.float64)


def image(seed: int = 0) -> Tensor:
    """Positive, about 0.05 per mm."""
    return 0.02 + 0.03 * random_like((BATCH, 1, *GRID.shape), seed).abs()


def least_squares() -> list[Example]:
    f = random_like((BATCH, 1, *BEAM.shape), 1)
    weights = 0.1 + random_like((1, 1, *BEAM.shape), 2).abs()
    A = operator()
    plain = Example(LeastSquares(A, f), [LeastSquares(A, one[None]) for one in f], image(), quadratic=True)
    weighted = Example(
        LeastSquares(A, f, weights), [LeastSquares(A, one[None], weights) for one in f], image(), quadratic=True
    )
    return [plain, weighted]


def huber_tv() -> list[Example]:
    each = torch.tensor([0.003, 0.02, 0.05])
    return [
        Example(HuberTV(0.02), [HuberTV(0.02)] * BATCH, image()),
        Example(HuberTV(each), [HuberTV(float(e)) for e in each], image()),
        # So far below epsilon everywhere that it is quadratic.
        Example(HuberTV(10.0), [HuberTV(10.0)] * BATCH, image(), quadratic=True),
    ]


def transmission() -> list[Example]:
    A, u = operator(), image()
    blank = 200 + 50 * random_like((1, 1, *BEAM.shape), 4).abs()
    background = 2 + random_like((1, 1, *BEAM.shape), 5).abs()
    mean = blank * torch.exp(-A(image(7)))
    generator = torch.Generator().manual_seed(6)
    counts = torch.poisson(mean, generator=generator)
    counts[:, :, 0, :3] = 0
    more = torch.poisson(mean + background, generator=generator)
    return [
        Example(Transmission(A, counts, blank), [Transmission(A, one[None], blank) for one in counts], u),
        Example(
            Transmission(A, more, blank, background), [Transmission(A, one[None], blank, background) for one in more], u
        ),
    ]


def feasibility() -> list[Example]:
    u = image()
    some = random_like((1, 1, *GRID.shape), 8) > 0
    given = image(9)
    shared: list[ConvexSet] = [Box(0.03, 0.05), L1Ball(1.5), Simplex(3, total=0.3)]
    return [
        Example(Feasibility(shared), [Feasibility(shared)] * BATCH, u),
        Example(
            Feasibility([*shared, Fixed(some, given)]), [Feasibility([*shared, Fixed(some, g[None])]) for g in given], u
        ),
        Example(Feasibility([Fixed(some, given)]), [Feasibility([Fixed(some, g[None])]) for g in given], u),
    ]


class Logarithmic(Energy):
    """One function and nothing else: ``sum log cosh(D (u - v))``, smooth and convex."""

    def __init__(self, v: Tensor) -> None:
        self.v = v

    def value(self, u: Tensor) -> Tensor:
        w = 20 * (u - self.v)
        all_of_it = (w, torch.diff(w, dim=-1), torch.diff(w, dim=-2))
        return torch.stack([torch.log(torch.cosh(p)).flatten(1).sum(1) for p in all_of_it]).sum(0)


class Quadratic(Energy):
    """A quadratic as one function, through an operator inside of it."""

    def __init__(self, f: Tensor) -> None:
        self.f, self.operator = f, operator()

    def value(self, u: Tensor) -> Tensor:
        return 0.5 * (self.operator(u) - self.f).square().flatten(1).sum(1)


def functions() -> list[Example]:
    """Energies that are one function, by themselves and behind an operator."""
    v, f = image(11), random_like((BATCH, 1, *BEAM.shape), 1)
    return [
        Example(Logarithmic(v), [Logarithmic(one[None]) for one in v], image()),
        Example(Quadratic(f), [Quadratic(one[None]) for one in f], image(), quadratic=True),
        Example(
            2.0 * Logarithmic(v) + HuberTV(0.02), [2.0 * Logarithmic(one[None]) + HuberTV(0.02) for one in v], image()
        ),
    ]


def chains() -> list[Example]:
    A, f = operator(), random_like((BATCH, 1, *BEAM.shape), 1)
    return [
        Example(Chain(Logarithmic(f), A), [Chain(Logarithmic(one[None]), A) for one in f], image()),
        Example(Chain(HuberTV(0.1), A), [Chain(HuberTV(0.1), A)] * BATCH, image()),
        # Data inside an operator: cut, discrepancy and residual are those of the energy behind it.
        Example(
            Chain(LeastSquares(A, f), Multiple(2.0, AveragePooling(9, 8, 1))),
            [Chain(LeastSquares(A, one[None]), Multiple(2.0, AveragePooling(9, 8, 1))) for one in f], image(),
            quadratic=True,
        ),
    ]


def sums() -> list[Example]:
    data, roughness = least_squares()[1], huber_tv()[1]
    single = [0.5 * a + 3.0 * b for a, b in zip(data.single, roughness.single, strict=True)]
    # The part with data stands second: discrepancy and cut must be found there too.
    return [
        Example(0.5 * data.energy + 3.0 * roughness.energy, single, image()),
        Example(3.0 * roughness.energy + 0.5 * data.energy, single, image()),
        Example(2.0 * data.energy, [2.0 * one for one in data.single], image(), quadratic=True),
    ]


EXAMPLES: dict[type[Energy], Callable[[], list[Example]]] = {
    LeastSquares: least_squares,
    HuberTV: huber_tv,
    Transmission: transmission,
    Feasibility: feasibility,
    SumEnergy: sums,
    Chain: chains,
    Energy: functions,
}
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
        f"(float64, batch {BATCH}) and add it to EXAMPLES in {__file__}"
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


# Huber-TV


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


# Transmission


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


def test_float32_images_give_float64_values():
    A = sparse_operator(BEAM, GRID)
    f = random_like((BATCH, 1, *BEAM.shape), 1, torch.float32)
    energy = LeastSquares(A, f) + 0.1 * HuberTV(0.02)
    ray = energy.at(image().float()).along(image(5).float())
    assert ray.slope.dtype == ray.value(torch.zeros(BATCH, 1)).dtype == torch.float64


# One function


def test_a_function_is_what_the_class_by_hand_is() -> None:
    f = random_like((BATCH, 1, *BEAM.shape), 1)
    ours, theirs, u = Quadratic(f), LeastSquares(operator(), f), image()
    assert ours.lipschitz is None
    assert ours.lipschitz_at(u) == pytest.approx(theirs.lipschitz, rel=0.03)
    assert torch.equal(theirs.value(u), theirs.at(u).value)
    for energy in (Quadratic(f), Chain(Sharp(f), operator())):
        a, b = (list(descend(one, NegativeGradient(), u, most_iterations=8)) for one in (energy, theirs))
        assert float((a[-1].u - b[-1].u).abs().max()) < 0.02 * float(a[-1].u.abs().max())


class Sharp(Energy):
    """Half the squared distance to data, one function behind an operator."""

    def __init__(self, f: Tensor) -> None:
        self.f = f

    def value(self, u: Tensor) -> Tensor:
        return 0.5 * (u - self.f).square().flatten(1).sum(1)


class Absolute(Energy):
    """No curvature anywhere: what a quadratic model knows nothing of."""

    def value(self, u: Tensor) -> Tensor:
        return (u - 0.03).abs().flatten(1).sum(1)


def test_an_energy_without_curvature_descends_all_the_same() -> None:
    iterates = list(descend(Absolute(), NegativeGradient(), image(), most_iterations=20))
    assert bool((iterates[-1].point.value < 0.7 * iterates[0].point.value).all())


class Wrong(Energy):
    def __init__(self, function: Callable[[Tensor], object]) -> None:
        self.function = function

    def value(self, u: Tensor) -> Tensor:
        return self.function(u)  # type: ignore[return-value]


def test_a_function_that_is_no_energy_is_refused_with_the_remedy() -> None:
    for function, text in (
        (lambda u: u.sum(), r"one floating point number per sample, \[3\], got torch\.float64 of shape \[\]; sum over"),
        (lambda u: u.flatten(1), r"of shape \[3, 72\]"),
        (lambda u: 3.0, "got float"),
        (lambda u: u.flatten(1).sum(1).long(), r"got torch\.int64"),
        (lambda u: u.detach().flatten(1).sum(1), "does not hang on u by operations of torch"),
    ):
        with pytest.raises(SettingError, match=text):
            list(descend(Wrong(function), NegativeGradient(), image(), most_iterations=1))
    with pytest.raises(TypeError, match=r"needs value\(self, u\)"):
        type("Nothing", (Energy,), {})


def test_slopes_through_a_chain_come_from_forward_projections_alone() -> None:
    class Loose(SparseOperator):
        def _adjoint(self, y: Tensor) -> Tensor:
            return 1.3 * super()._adjoint(y)

    true = operator()
    csr = joseph_matrix(BEAM, GRID, np.float64)
    loose = Loose(csr, true.domain_shape, true.range_shape, dtype=torch.float64)
    u, d, f = image(), image(3), random_like((BATCH, 1, *BEAM.shape), 1)
    slopes = [Chain(Sharp(f), one).at(u).along(d).slope for one in (true, loose)]
    torch.testing.assert_close(slopes[0], slopes[1])
    assert not torch.allclose(Chain(Sharp(f), loose).at(u).gradient, Chain(Sharp(f), true).at(u).gradient)
