"""Convex feasibility by the same descent as tomography: nothing in ctrecon/descent knows that it is one."""

from __future__ import annotations

import math

import pytest
import torch
from laws import random_like
from torch import Tensor

from ctrecon.descent.descend import Iterate, descend
from ctrecon.descent.directions import Direction, NegativeGradient
from ctrecon.descent.dissipation import Cone, DissipationSet, HalfSpace
from ctrecon.descent.step import Armijo, ConstantStep, StepSearch, Subspace
from ctrecon.descent.stopping import Discrepancy, LowEnergy, Reason
from ctrecon.energies.base import Point
from ctrecon.energies.convex_sets import Affine, Box, ConvexSet, Fixed, HalfSpaceSet, Simplex
from ctrecon.energies.feasibility import Feasibility
from ctrecon.energies.huber_tv import HuberTV
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.errors import SettingError
from ctrecon.operators.pooling import AveragePooling

SHAPE = (1, 3, 4)
BATCH = 3


def meeting_sets() -> tuple[list[ConvexSet], Tensor]:
    """Four sets and a point that lies in all of them."""
    inside = Simplex(3).project(random_like((1, *SHAPE), 0))
    rows = random_like((4, math.prod(SHAPE)), 1)
    normal = random_like(SHAPE, 2)
    bound = float((normal * inside).sum())
    sets: list[ConvexSet] = [Simplex(3), Affine(rows, rows @ inside.flatten()), HalfSpaceSet(normal, bound), Box(0, 1)]
    return sets, inside


def starts(seed: int = 3) -> Tensor:
    return random_like((BATCH, *SHAPE), seed)


def last(iterates: list[Iterate]) -> Iterate:
    assert iterates[-1].finished
    return iterates[-1]


def energies(iterates: list[Iterate]) -> Tensor:
    return torch.stack([one.point.value for one in iterates])


def test_gradient_descent_with_step_1_is_averaged_projections() -> None:
    sets, _ = meeting_sets()
    u = starts()
    iterates = list(descend(Feasibility(sets), NegativeGradient(), u, step=ConstantStep(1.0), most_iterations=20))
    assert len(iterates) == 21
    for iterate in iterates[1:]:
        u = torch.stack([one.project(u) for one in sets]).mean(0)
        torch.testing.assert_close(iterate.u, u, rtol=1e-12, atol=1e-12)
    shorter = list(descend(Feasibility(sets), NegativeGradient(), starts(), step=ConstantStep(0.9), most_iterations=20))
    assert not torch.allclose(shorter[-1].u, u, rtol=1e-3, atol=1e-3)


def adversary(point: Point) -> Tensor:
    """Uphill, far too long, and somewhere else each time."""
    return 1e3 * point.gradient + 30 * random_like(tuple(point.u.shape), int(1e6 * float(point.value[0])) % 997)


def broken(point: Point) -> Tensor:
    return torch.full_like(point.u, float("nan"))


DIRECTIONS: dict[str, Direction] = {"gradient": NegativeGradient(), "adversary": adversary, "broken": broken}


@pytest.mark.sampled(5)
@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=list(DIRECTIONS))
@pytest.mark.parametrize("step", [Subspace(), Armijo()], ids=["subspace", "armijo"])
@pytest.mark.parametrize("dissipation", [HalfSpace(0.1), Cone(0.1, 10.0)], ids=["half-space", "cone"])
def test_no_step_raises_the_energy(direction: Direction, step: StepSearch, dissipation: DissipationSet) -> None:
    sets, _ = meeting_sets()
    iterates = list(
        descend(Feasibility(sets), direction, starts(), dissipation=dissipation, step=step, most_iterations=40)
    )
    values = energies(iterates)
    assert bool((values[1:] <= values[:-1]).all())
    assert bool((values[1] < values[0]).all())
    # Backtracking along a direction that is mostly noise gets nowhere fast; the span holds steepest descent too.
    if isinstance(step, Subspace):
        assert bool((values[-1] < 1e-2 * values[0]).all())


def test_the_subspace_step_is_much_faster_than_averaged_projections() -> None:
    sets, _ = meeting_sets()
    energy = Feasibility(sets)
    slow, fast = (
        energies(list(descend(energy, NegativeGradient(), starts(), step=step, most_iterations=30)))[-1]
        for step in (ConstantStep(1.0), Subspace())
    )
    assert bool((fast < 1e-2 * slow).all()), f"{fast} {slow}"


@pytest.mark.sampled(1)
@pytest.mark.parametrize("length", [0.01, 1.0, 100.0])
def test_the_subspace_step_takes_a_direction_that_knows_better(length: float) -> None:
    """Whatever its length. A model that only bounds E (curvature 1) is lowest at the gradient and would ignore it."""
    sets, inside = meeting_sets()
    energy, rule = Feasibility(sets), (LowEnergy(1e-12),)
    knowing = last(list(descend(energy, lambda point: length * (inside - point.u), starts(), stop=rule)))
    blind = last(list(descend(energy, NegativeGradient(), starts(), stop=rule)))
    assert knowing.reasons == (Reason.LOW_ENERGY,) * BATCH
    assert knowing.k <= 8
    assert blind.k > 20


def test_low_energy_certifies_feasibility() -> None:
    sets, _ = meeting_sets()
    level = 1e-10
    end = last(
        list(descend(Feasibility(sets), NegativeGradient(), starts(), stop=(LowEnergy(level),), most_iterations=500))
    )
    assert end.reasons == (Reason.LOW_ENERGY,) * BATCH
    # Checked set by set, not by the solver's number.
    for one in sets:
        distance = torch.linalg.vector_norm((end.u - one.project(end.u)).flatten(1), dim=1)
        assert float(distance.max()) <= math.sqrt(2 * len(sets) * level) * (1 + 1e-9)
    early = list(descend(Feasibility(sets), NegativeGradient(), starts(), stop=(LowEnergy(level),), most_iterations=3))
    assert early[-1].reasons == (Reason.BUDGET,) * BATCH


def test_sets_that_do_not_meet_are_never_certified() -> None:
    apart: list[ConvexSet] = [Box(0.0, 1.0), Box(1.5, 2.0)]
    iterates = list(
        descend(Feasibility(apart), NegativeGradient(), starts(), stop=(LowEnergy(1e-10),), most_iterations=50)
    )
    assert Reason.LOW_ENERGY not in last(iterates).reasons
    # Half a unit apart in each of 12 entries, 0.25 from each set.
    least = 0.5 * math.prod(SHAPE) * 0.25**2
    torch.testing.assert_close(last(iterates).point.value, torch.full((BATCH,), least, dtype=torch.float64))


def test_the_way_to_a_common_point_always_descends() -> None:
    sets, inside = meeting_sets()
    energy = Feasibility(sets)
    for scale in (0.01, 1.0, 100.0):
        u = inside + scale * random_like((50, *SHAPE), 4)
        point = energy.at(u)
        descent = ((u - inside) * point.gradient).flatten(1).sum(1)
        assert bool((descent >= 2 * point.value * (1 - 1e-12)).all())
    # So a direction that knows it may take it, in one step of Algorithm 1.
    knowing = list(
        descend(energy, lambda point: inside - point.u, starts(), step=Armijo(), stop=(LowEnergy(1e-20),))
    )
    assert last(knowing).k == 1
    assert last(knowing).reasons == (Reason.LOW_ENERGY,) * BATCH


def test_each_point_is_projected_once() -> None:
    calls: list[int] = []

    class Counting(Box):
        def project(self, u: Tensor) -> Tensor:
            calls.append(1)
            return super().project(u)

    energy = Feasibility([Counting(0.0, 1.0)])
    done = list(descend(energy, NegativeGradient(), starts(), step=Armijo(), most_iterations=1))
    assert last(done).k == 1
    assert len(calls) == 2


def latin(puzzle: list[str]) -> tuple[Feasibility, Tensor]:
    """A 4 x 4 Sudoku as in section 5.4: four families of simplices and the givens, over [batch, digit, row, column]."""
    grid = torch.tensor([[int(c) for c in row] for row in puzzle])
    given = torch.nn.functional.one_hot(grid, 5)[..., 1:].movedim(-1, 0)[None].double()
    known = (grid > 0).expand(1, 4, 4, 4)
    boxes = Simplex((3, 5), view=(4, 2, 2, 2, 2))
    return Feasibility([Simplex(1), Simplex(2), Simplex(3), boxes, Fixed(known, given)]), given


@pytest.mark.long
def test_a_small_sudoku_is_a_feasibility_problem() -> None:
    energy, start = latin(["1030", "0041", "0100", "4003"])
    end = last(list(descend(energy, NegativeGradient(), start, stop=(LowEnergy(1e-8),), most_iterations=100)))
    assert end.reasons == (Reason.LOW_ENERGY,)
    assert (end.u[0].argmax(0) + 1).tolist() == [[1, 4, 3, 2], [2, 3, 4, 1], [3, 1, 2, 4], [4, 2, 1, 3]]
    # Givens that contradict each other leave a distance behind.
    wrong, start = latin(["1010", "0041", "0100", "4003"])
    end = last(list(descend(wrong, NegativeGradient(), start, stop=(LowEnergy(1e-8),), most_iterations=100)))
    assert Reason.LOW_ENERGY not in end.reasons
    assert float(end.point.value) > 1e-3


def test_sets_join_other_energies() -> None:
    """Super-resolution inside a box: a sum of three energies, still the same descent, stopped by the data's part."""
    A = AveragePooling(12, 12, 3)
    truth = torch.zeros(1, 1, 12, 12, dtype=torch.float64)
    truth[..., 3:9, 2:10] = 1.0
    f = A(truth)
    energy = 0.01 * HuberTV(0.05) + LeastSquares(A, f) + 0.5 * Feasibility([Box(0.0, 1.0)])
    end = last(
        list(descend(energy, NegativeGradient(), A.adjoint(f), stop=(Discrepancy(0.2),), most_iterations=500))
    )
    assert end.reasons == (Reason.DISCREPANCY,)
    assert float((A(end.u) - f).norm()) <= 0.2


def test_what_is_no_feasibility_problem_is_refused() -> None:
    with pytest.raises(SettingError, match="at least one set"):
        Feasibility([])
    with pytest.raises(SettingError, match="compares with no data"):
        list(descend(Feasibility([Box(0.0, 1.0)]), NegativeGradient(), starts(), stop=(Discrepancy(1.0),)))
