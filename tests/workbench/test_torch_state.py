"""What a caller has set for all of torch, autocast or a device for new tensors, changes no result of the library."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pytest
import torch

import ctrecon as ct

STATES: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "bfloat16": lambda: torch.autocast("cpu", torch.bfloat16),
    "float16": lambda: torch.autocast("cpu", torch.float16),
    # The device of no values: whatever were made there could not be read.
    "meta": lambda: torch.device("meta"),
}


def nowhere(point: Any) -> torch.Tensor:
    """Notes in which state it is asked."""
    asked.append((torch.is_autocast_enabled("cpu"), torch.get_default_device().type))
    return -point.gradient


asked: list[tuple[bool, str]] = []
SCAN = ct.simulate("head", size=16, views=12, noise=0.02, seed=1).scan
A = ct.operator(SCAN)
U = torch.rand(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
RESULT = ct.reconstruct(SCAN, delta="5%", method="cgls")


def made(*, method: str = "energy", delta: str = "5%", **more: Any) -> np.ndarray:
    return ct.reconstruct(SCAN, delta=delta, method=method, **more).image  # type: ignore[arg-type]


WORK: dict[str, Callable[[], Any]] = {
    "product": lambda: A(U), "adjoint": lambda: A.T(A(U)), "fbp": lambda: ct.operator(SCAN).fbp(A(U)),
    "norm": lambda: ct.operator(SCAN).norm(), "operator": lambda: ct.operator(SCAN)(U),
    "simulate": lambda: ct.simulate("head", size=16, views=12, noise=0.02, seed=1).scan.sinogram,
    "direction": lambda: made(direction=nowhere, iterations=3),
    **{name: (lambda name=name: made(method=name)) for name in ("energy", "gradient", "huber-tv", "cgls")},
    "filtered": lambda: made(method="fbp", delta="60%"),
    "audit": lambda: re.sub("[0-9.]+ s", "", str(ct.audit(RESULT, roi=(8, 8, 3), ring=2, gap=1, iterations=3))),
    "diagnose": lambda: str(ct.diagnose(SCAN)),
}  # fmt: skip

DEAR = {"energy", "gradient", "huber-tv", "audit", "diagnose"}


def test_every_public_function_is_held_against_its_annotations_which_is_what_leaves_the_state() -> None:
    functions = [one for name in dir(ct) if inspect.isfunction(one := getattr(ct, name))]
    assert len(functions) >= 10
    assert [one.__name__ for one in functions if not hasattr(one, "__wrapped__")] == []


@pytest.mark.parametrize("work", [pytest.param(one, marks=pytest.mark.long if one in DEAR else ()) for one in WORK])
def test_results_are_the_same(work: str) -> None:
    def plain() -> Any:
        found = WORK[work]()
        return found.detach().numpy() if isinstance(found, torch.Tensor) else found

    expected = plain()
    for state, enter in STATES.items():
        asked.clear()
        with enter():
            found = plain()
        assert type(found) is type(expected), state
        if isinstance(expected, np.ndarray):
            assert found.dtype == expected.dtype
        assert np.all(found == expected), state
        if work == "direction":
            assert set(asked) == {(state != "meta", "meta" if state == "meta" else "cpu")}, "it is the caller's code"


def test_a_loss_within_autocast_has_the_same_gradient() -> None:
    def gradient() -> torch.Tensor:
        u = U.clone().requires_grad_()
        return torch.autograd.grad(A(u).square().sum(), u)[0]

    expected = gradient()
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(gradient(), expected)


def test_without_it_a_matrix_would_be_multiplied_in_half_precision() -> None:
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(NotImplementedError):
        A.projector._forward(U)


def test_what_torch_remarks_of_its_matrices_is_never_heard() -> None:
    """Also where somebody asks torch to say things each time, and takes warnings for errors, as this suite does."""
    torch.set_warn_always(True)
    try:
        for _ in range(2):
            ct.operator(SCAN, name="sparse")
    finally:
        torch.set_warn_always(False)
