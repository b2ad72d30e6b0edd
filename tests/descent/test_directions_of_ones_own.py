"""What a direction of one's own may hand back, and what it may not do to the point."""

from __future__ import annotations

import math

import pytest
import torch
from descent_problems import run, small_problem
from torch import Tensor

from ctrecon.descent.descend import descend
from ctrecon.descent.directions import NegativeGradient
from ctrecon.energies.base import Point
from ctrecon.errors import SettingError


class Writes:
    """Spoils a tensor of the point, by torch or behind its back."""

    def __init__(self, name: str, *, by_numpy: bool = False) -> None:
        self.name, self.by_numpy = name, by_numpy

    def __call__(self, point: Point) -> Tensor:
        held = getattr(point, self.name)
        if held is not None:
            (held.numpy() if self.by_numpy else held)[..., 0] = 3.0
        return torch.ones_like(point.u)


@pytest.mark.parametrize("by_numpy", [False, True])
@pytest.mark.parametrize("name", ["u", "gradient", "residual", "last_step"])
def test_a_direction_that_writes_into_the_point_is_noticed(name: str, by_numpy: bool) -> None:
    energy, truth, _ = small_problem()
    start = torch.zeros_like(truth)
    with pytest.raises(SettingError, match=rf"direction wrote into point\.{name}.*point\.{name}\.clone"):
        run(energy, Writes(name, by_numpy=by_numpy), start)
    assert not bool(start.any())


@pytest.mark.parametrize("name", ["u", "gradient"])
def test_a_direction_that_puts_another_tensor_into_the_point_is_noticed(name: str) -> None:
    energy, truth, _ = small_problem()

    def replaces(point: Point) -> Tensor:
        vars(point)[name] = -getattr(point, name) + 1
        return torch.ones_like(point.u)

    with pytest.raises(SettingError, match=rf"direction wrote into point\.{name}"):
        run(energy, replaces, torch.zeros_like(truth))


def test_a_loop_that_writes_into_an_iterate_is_noticed() -> None:
    energy, truth, _ = small_problem()

    def clamp() -> None:
        for it in descend(energy, NegativeGradient(), torch.zeros_like(truth)):
            it.u.clamp_(min=0.1)

    with pytest.raises(SettingError, match=r"the loop over the iterates wrote into point\.u"):
        clamp()


ODD_ANSWERS = {
    "wrong batch": (lambda u: u[:1], r"returned shape \[1, 1, 4, 5\]"),
    "no batch": (lambda u: u[0], r"returned shape \[1, 4, 5\]"),
    "flat": (lambda u: u.flatten(1), r"returned shape \[3, 20\]; use z\.reshape\(\[3, 1, 4, 5\]\)"),
    "a number": (lambda u: torch.tensor(1.0), r"returned shape \[\]"),
    "numpy": (lambda u: u.numpy().copy(), r"returned ndarray of shape \[3, 1, 4, 5\]; use torch\.as_tensor"),
    "none": (lambda u: None, "returned NoneType"),
    "a list": (lambda u: u.tolist(), "returned list"),
    "whole numbers": (lambda u: torch.ones_like(u, dtype=torch.int64), r"returned torch\.int64"),
    "complex": (lambda u: torch.ones_like(u, dtype=torch.complex128), r"returned torch\.complex128"),
    "sparse": (lambda u: torch.ones_like(u).to_sparse(), r"returned a sparse tensor; use z\.to_dense"),
    "nested": (
        lambda u: torch.nested.nested_tensor(list(u), layout=torch.jagged), r"a nested tensor; use torch\.stack"
    ),
    "elsewhere": (lambda u: torch.ones_like(u, device="meta"), "returned a tensor on meta"),
}


@pytest.mark.parametrize("answer", ODD_ANSWERS)
def test_an_answer_that_is_no_direction_is_refused_with_its_shape(answer: str) -> None:
    energy, truth, _ = small_problem()
    make, text = ODD_ANSWERS[answer]
    with pytest.raises(SettingError, match=rf"tensor of shape \[3, 1, 4, 5\] on cpu, like point\.u.*{text}"):
        run(energy, lambda point: make(point.u), torch.zeros_like(truth))


@pytest.mark.parametrize("bad", ["numpy", "whole", "nan"])
def test_a_start_that_is_no_image_is_refused(bad: str) -> None:
    energy, truth, _ = small_problem()
    start = {"numpy": truth.numpy(), "whole": truth.long(), "nan": truth * math.nan}[bad]
    with pytest.raises(SettingError, match="the start"):
        run(energy, NegativeGradient(), start)  # type: ignore[arg-type]


def test_any_floating_point_answer_with_or_without_a_graph_serves() -> None:
    energy, truth, _ = small_problem()
    scale = torch.nn.Parameter(torch.tensor(0.01))
    start = torch.zeros_like(truth, requires_grad=True)
    answers = (
        lambda point: -scale * point.gradient, lambda point: -point.gradient.half(),
        lambda point: -point.gradient.mT.contiguous().mT, lambda point: (-point.gradient)[:, :1].expand(3, 1, 4, 5),
    )
    for answer in answers:
        end = run(energy, answer, start, most_iterations=5)[-1]
        assert not end.u.requires_grad
        assert bool((end.point.value < energy.at(start).value).all())
    for _ in descend(energy, NegativeGradient(), start, most_iterations=2):
        assert torch.is_grad_enabled(), "the caller's mode must not change between two iterates"
