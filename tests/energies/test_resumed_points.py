"""A point that is taken up from its state is the one that was: value, gradient and the next step, bit by bit."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from energy_examples import EXAMPLES, Example
from laws import random_like

from ctrecon.energies.base import Energy, Point
from ctrecon.energies.least_squares import LeastSquares


def after_two_steps(energy: Energy, point: Point) -> Point:
    for seed in (1, 2):
        last = () if point.last_step is None else (point.last_step,)
        directions = (-point.gradient, random_like(tuple(point.u.shape), seed), *last)
        tau = torch.full((point.u.shape[0], len(directions)), 1e-3, dtype=torch.float64)
        point = point.along(*directions).move(tau)
    return point


def same(a: Point, b: Point) -> bool:
    pairs = [(getattr(a, name), getattr(b, name)) for name in ("u", "value", "gradient", "residual", "doubt")]
    return all((x is None and y is None) or (x is not None and torch.equal(x, y)) for x, y in pairs)


@pytest.mark.parametrize(
    ("make", "number"),
    [pytest.param(make, k, id=f"{kind.__name__}-{k}") for kind, make in EXAMPLES.items() for k in range(len(make()))],
)
def test_every_energy_takes_up_its_points(make: Callable[[], list[Example]], number: int) -> None:
    example = make()[number]
    point = after_two_steps(example.energy, example.energy.at(example.u))
    again = example.energy.resumed(copy.deepcopy(point.state))
    assert same(point, again)
    assert same(after_two_steps(example.energy, point), after_two_steps(example.energy, again))


def test_from_the_image_alone_it_would_be_another() -> None:
    example = EXAMPLES[LeastSquares]()[0]
    point = after_two_steps(example.energy, example.energy.at(example.u))
    assert not same(point, example.energy.at(point.u))
