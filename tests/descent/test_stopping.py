"""How a descent ends: on the discrepancy sphere, below it by what operators differ, by name, sample by sample."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from descent_problems import run, small_problem
from torch import Tensor

from ctrecon.descent.directions import NegativeGradient
from ctrecon.descent.step import Subspace
from ctrecon.descent.stopping import Discrepancy, LowEnergy, Reason, SmallGradient
from ctrecon.energies.base import Point, inner
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.errors import SettingError
from ctrecon.operators.base import LinearOperator


def test_the_last_step_ends_on_the_discrepancy_sphere() -> None:
    energy, truth, _ = small_problem()
    delta = energy.at(truth).discrepancy
    assert delta is not None
    last = run(energy, NegativeGradient(), torch.zeros_like(truth), stop=(Discrepancy(delta),))[-1]
    assert last.reasons == (Reason.DISCREPANCY,) * 3
    assert last.point.discrepancy is not None
    assert bool((last.point.discrepancy <= delta).all())
    assert bool((last.point.discrepancy >= delta * (1 - 2e-5)).all())
    uncut = run(energy, NegativeGradient(), torch.zeros_like(truth), stop=(Discrepancy(delta, cut=False),))[-1]
    assert bool((uncut.point.discrepancy < delta * (1 - 1e-3)).any())  # type: ignore[operator]


class Other(LinearOperator):
    """The operator that judges: the descent's own, scaled by a part in ten thousand."""

    def __init__(self, operator: LinearOperator, scale: float = 1.0001) -> None:
        super().__init__(operator.domain_shape, operator.range_shape)
        self._operator, self._scale = operator, scale

    def _forward(self, x: Tensor) -> Tensor:
        return self._scale * self._operator._forward(x)

    def _adjoint(self, y: Tensor) -> Tensor:
        return self._scale * self._operator._adjoint(y)


def test_the_descent_aims_below_delta_by_what_the_operators_differ() -> None:
    energy, truth, _ = small_problem()
    delta = energy.at(truth).discrepancy
    assert delta is not None
    judge = LeastSquares(Other(energy.operator), energy.data)
    difference = 1e-4 * inner(energy.operator(truth), energy.operator(truth)).sqrt() * 1.5
    ends = {}
    for name, stop in (("plain", Discrepancy(delta)), ("aimed", Discrepancy(delta, difference=difference))):
        end = run(energy, NegativeGradient(), torch.zeros_like(truth), stop=(stop,))[-1]
        assert end.reasons == (Reason.DISCREPANCY,) * 3
        assert str(end.reasons[0].value) == "discrepancy met"
        ends[name] = judge.at(end.u).discrepancy
    assert bool((ends["aimed"] <= delta).all())
    assert not bool((ends["plain"] <= delta).all())
    for bad, text in ((-1.0, "-1.0"), (math.nan, "nan"), (2 * float(delta.max()), "as much as delta")):
        with pytest.raises(SettingError, match=text):
            Discrepancy(delta, difference=bad)


class Knows:
    """Sees a true image from everywhere; its answer lies well inside the sphere."""

    def __init__(self, truth: torch.Tensor) -> None:
        self.truth = truth

    def __call__(self, point: Point) -> torch.Tensor:
        return self.truth - point.u


def test_a_whole_answer_is_not_cut_and_a_part_of_one_is() -> None:
    energy, truth, _ = small_problem()
    found = energy.at(truth).discrepancy
    assert found is not None
    delta, zero = 1.2 * found, torch.zeros_like(truth)
    step = Subspace(own_length=True)
    whole = run(energy, Knows(truth), zero, step=step, stop=(Discrepancy(delta, whole=True),))[-1]
    assert (whole.k, whole.reasons) == (1, (Reason.DISCREPANCY,) * 3)
    assert torch.allclose(whole.u, truth, rtol=1e-9, atol=1e-12)
    for stop in (Discrepancy(delta), Discrepancy(delta, whole=True)):
        part = run(energy, Knows(truth), zero, step=step if stop.whole is False else Subspace(), stop=(stop,))[-1]
        assert part.k == 1
        assert part.point.discrepancy is not None
        assert torch.allclose(part.point.discrepancy, delta, rtol=1e-4)


@pytest.mark.long
def test_no_rule_ends_a_descent_before_its_least_iterations_unless_it_stands_still() -> None:
    energy, truth, _ = small_problem()
    found, start = energy.at(truth).discrepancy, torch.zeros_like(truth)
    assert found is not None
    rule = (Discrepancy(1.5 * found),)
    for least in (0, 3, 7):
        iterates = run(energy, NegativeGradient(), start, stop=rule, least_iterations=least)
        assert iterates[-1].k >= least
        assert iterates[-1].reasons == (Reason.DISCREPANCY,) * 3
        assert all(bool((b.point.value <= a.point.value).all()) for a, b in pairwise(iterates))
    # Where E falls no further, the rule that is met is the reason.
    still = run(energy, NegativeGradient(), start, stop=rule, least_iterations=900, most_iterations=1000)[-1]
    assert still.k < 900
    assert still.reasons == (Reason.DISCREPANCY,) * 3
    # A start that meets the rule is as good as any other end.
    assert run(energy, NegativeGradient(), truth, stop=rule, least_iterations=7)[-1].k == 0


def test_every_end_has_its_name() -> None:
    energy, truth, _ = small_problem()
    zero = torch.zeros_like(truth)
    assert run(energy, NegativeGradient(), zero, most_iterations=0)[-1].reasons == (Reason.BUDGET,) * 3
    assert run(energy, NegativeGradient(), zero, most_iterations=2)[-1].reasons == (Reason.BUDGET,) * 3
    stalled = run(energy, NegativeGradient(), zero, most_iterations=400)[-1]
    assert set(stalled.reasons) <= {Reason.STALLED, Reason.STATIONARY}
    small = run(energy, NegativeGradient(), zero, stop=(SmallGradient(1e-1),), most_iterations=500)[-1]
    assert small.reasons == (Reason.STATIONARY,) * 3
    level = float(energy.at(zero).value.min()) * 0.9
    assert run(energy, NegativeGradient(), zero, stop=(LowEnergy(level),))[-1].reasons[0] is Reason.LOW_ENERGY
    exact = LeastSquares(energy.operator, energy.operator(truth))
    assert run(exact, NegativeGradient(), truth)[-1].reasons == (Reason.STATIONARY,) * 3


def test_samples_end_one_by_one_and_stay() -> None:
    energy, truth, _ = small_problem()
    start = energy.at(torch.zeros_like(truth)).discrepancy
    assert start is not None
    delta = start * torch.tensor([2.0, 0.9, 0.3])
    iterates = run(energy, NegativeGradient(), torch.zeros_like(truth), stop=(Discrepancy(delta),))
    assert iterates[0].reasons == (Reason.DISCREPANCY, None, None)
    assert iterates[-1].finished
    assert torch.equal(iterates[-1].u[0], torch.zeros_like(truth[0]))
    assert sum(it.finished for it in iterates) == 1
