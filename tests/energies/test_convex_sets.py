"""Every convex set obeys the laws of projections and agrees with a conic solver; what is no projection does not."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import pytest
import torch
from laws import random_like
from torch import Tensor

import ctrecon.energies.convex_sets
from ctrecon.energies.convex_sets import (
    Affine,
    Box,
    ConvexSet,
    Fixed,
    HalfSpaceSet,
    L1Ball,
    SecondOrderCone,
    Simplex,
)
from ctrecon.errors import SettingError

SHAPE = (1, 2, 3, 4)
SIZE = math.prod(SHAPE)
WHERE = random_like(SHAPE, 50) > 0
VALUES = random_like(SHAPE, 51)
NORMAL = random_like(SHAPE, 52)
ROWS, B = random_like((5, SIZE), 53), random_like((5,), 54)


@dataclass(frozen=True)
class Case:
    """A set of tensors of SHAPE, and the same set for a conic solver, of vectors of SIZE entries in their order."""

    set: ConvexSet
    constraints: Callable[[cp.Variable], list[cp.Constraint]]


def groups(axes: tuple[int, ...], view: tuple[int, ...] = SHAPE) -> np.ndarray:
    """The entries of each group, ``[groups, length]``; axes count as in the viewed batch."""
    moved = np.moveaxis(np.arange(SIZE).reshape(view), [a - 1 for a in axes], range(-len(axes), 0))
    return moved.reshape(-1, math.prod(moved.shape[-len(axes) :]))


CASES: dict[str, Case] = {
    "box": Case(Box(-0.3, 0.5), lambda x: [x >= -0.3, x <= 0.5]),
    "box of tensors": Case(
        Box(VALUES - 0.2, torch.tensor(math.inf)), lambda x: [x >= VALUES.flatten().numpy() - 0.2]
    ),
    "fixed": Case(
        Fixed(WHERE, VALUES), lambda x: [x[np.flatnonzero(WHERE)] == VALUES.flatten().numpy()[np.flatnonzero(WHERE)]]
    ),
    "half-space": Case(HalfSpaceSet(NORMAL, 0.1), lambda x: [NORMAL.flatten().numpy() @ x <= 0.1]),
    "affine": Case(Affine(ROWS, B), lambda x: [ROWS.numpy() @ x == B.numpy()]),
    "simplex": Case(Simplex(), lambda x: [x >= 0, cp.sum(x) == 1]),
    "simplices along an axis": Case(
        Simplex(3, total=2.0), lambda x: [x >= 0, *(cp.sum(x[g]) == 2 for g in groups((3,)))]
    ),
    "simplices of blocks": Case(
        Simplex((2, 4), view=(2, 3, 2, 2)),
        lambda x: [x >= 0, *(cp.sum(x[g]) == 1 for g in groups((2, 4), (2, 3, 2, 2)))],
    ),
    "l1 ball": Case(L1Ball(1.5), lambda x: [cp.norm1(x) <= 1.5]),
    "l1 balls of rows": Case(L1Ball(0.8, -1), lambda x: [cp.norm1(x[g]) <= 0.8 for g in groups((4,))]),
    "cone": Case(SecondOrderCone(), lambda x: [cp.norm(x[1:]) <= x[0]]),
    "flat cones": Case(
        SecondOrderCone((1, 3), slope=2.0), lambda x: [cp.norm(x[g[1:]]) <= 2 * x[g[0]] for g in groups((1, 3))]
    ),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))


def points(seed: int, count: int = 40, scale: float = 1.0) -> Tensor:
    return scale * random_like((count, *SHAPE), seed)


def norm(u: Tensor) -> Tensor:
    return torch.linalg.vector_norm(u.flatten(1), dim=1)


def check_projection(one: ConvexSet, tolerance: float = 1e-12) -> None:
    """Idempotent, non-expansive (firmly), nearest by the variational inequality, sample by sample."""
    for scale in (0.1, 1.0, 10.0):
        u, v = points(0, scale=scale), points(1, scale=scale)
        kept = u.clone()
        p, q = one.project(u), one.project(v)
        assert torch.equal(u, kept), "the projection changed its input"
        assert p.shape == u.shape
        assert p.dtype == u.dtype
        slack = tolerance * scale * scale * SIZE
        assert float(norm(one.project(p) - p).max()) <= slack, "not idempotent"
        # <Pu - Pv, u - v> >= |Pu - Pv|^2 holds for nothing but projections and their averages.
        inner = ((p - q) * (u - v)).flatten(1).sum(1)
        assert bool((inner >= norm(p - q) ** 2 - slack).all()), "not firmly non-expansive"
        assert bool((norm(p - q) <= norm(u - v) + slack).all()), "expansive"
        # <u - Pu, x - Pu> <= 0 for each x in the set: Pu is the nearest.
        assert bool((((u - p) * (q - p)).flatten(1).sum(1) <= slack).all()), "not the nearest point"
        singly = torch.cat([one.project(u[i : i + 1]) for i in range(3)])
        torch.testing.assert_close(singly, p[:3])


def classes() -> list[type]:
    found = inspect.getmembers(ctrecon.energies.convex_sets, inspect.isclass)
    return [one for name, one in found if hasattr(one, "project") and one is not ConvexSet and not name.startswith("_")]


def test_every_set_has_a_case() -> None:
    tried = {type(case.set) for case in CASES.values()}
    assert len(classes()) >= 7
    for one in classes():
        assert one in tried, f"{one.__name__} is a set without a test: add it to CASES in {__file__}"


@every_case
def test_laws(case: Case) -> None:
    check_projection(case.set)


@every_case
def test_a_conic_solver_finds_the_same_point(case: Case) -> None:
    for scale in (0.3, 3.0):
        u = points(2, 2, scale)
        ours = case.set.project(u)
        for i in range(2):
            x, flat = cp.Variable(SIZE), u[i].flatten().numpy()
            problem = cp.Problem(cp.Minimize(cp.sum_squares(x - flat)), case.constraints(x))
            problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10)
            np.testing.assert_allclose(ours[i].flatten().numpy(), x.value, atol=2e-4)
            # In the set as the solver states it, to rounding.
            x.value = ours[i].flatten().numpy()
            assert max(float(np.max(c.violation())) for c in case.constraints(x)) < 1e-12 * max(1, scale) * SIZE


@every_case
def test_float32_stays_float32(case: Case) -> None:
    u = points(3, 4)
    low = case.set.project(u.float())
    assert low.dtype == torch.float32
    torch.testing.assert_close(low.double(), case.set.project(u), atol=1e-5, rtol=1e-4)


class Halfway:
    """Goes only half of the way: non-expansive, but neither idempotent nor in the set."""

    def project(self, u: Tensor) -> Tensor:
        return (u + Box(-0.3, 0.5).project(u)) / 2


class Rescaled:
    """Lands on the simplex, but not at the nearest point."""

    def project(self, u: Tensor) -> Tensor:
        return torch.softmax(u.flatten(1), dim=1).reshape(u.shape)


class Shell:
    """The sphere is not convex: the way onto it expands."""

    def project(self, u: Tensor) -> Tensor:
        return u / norm(u).view(-1, *(1,) * (u.ndim - 1))


@pytest.mark.parametrize(
    ("one", "what"), [(Halfway(), "idempotent"), (Rescaled(), "idempotent"), (Shell(), "non-expansive|nearest")]
)
def test_what_is_no_projection_fails_the_laws(one: ConvexSet, what: str) -> None:
    with pytest.raises(AssertionError, match=what):
        check_projection(one)


def test_sets_of_a_batch_differ_per_sample() -> None:
    u = points(4, 2)
    bounds = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    normal = random_like((2, *SHAPE), 5)
    p = HalfSpaceSet(normal, bounds).project(u)
    right = torch.stack([random_like((5,), 6), random_like((5,), 7)])
    q = Affine(ROWS, right).project(u)
    for i in range(2):
        alone = HalfSpaceSet(normal[i], float(bounds[i])).project(u[i : i + 1])
        torch.testing.assert_close(p[i : i + 1], alone)
        torch.testing.assert_close(q[i : i + 1], Affine(ROWS, right[i]).project(u[i : i + 1]))


def test_the_apex_and_the_origin_make_no_nan() -> None:
    zero = torch.zeros(1, *SHAPE, dtype=torch.float64)
    for one in (SecondOrderCone(), L1Ball(1.0)):
        assert torch.equal(one.project(zero), zero)
    assert torch.allclose(Simplex().project(zero), torch.full_like(zero, 1 / SIZE))


def test_what_is_no_set_is_refused() -> None:
    nan, one = float("nan"), torch.ones(2)
    refused: list[tuple[Callable[[], ConvexSet], str]] = [
        (lambda: Box(1.0, 0.0), "lower <= upper"),
        (lambda: Box(nan, 0.0), "lower <= upper"),
        (lambda: Fixed(torch.tensor([True]), nan), "finite"),
        (lambda: HalfSpaceSet(0 * one, 1.0), "not zero"),
        (lambda: HalfSpaceSet(nan * one, 1.0), "finite"),
        (lambda: HalfSpaceSet(one, nan), "not a number"),
        (lambda: Affine(torch.ones(2, 3), one), "rank 1"),
        (lambda: Affine(torch.ones(2, 3), torch.ones(3)), "needs A"),
        (lambda: Affine(torch.ones(1, 3), torch.tensor([nan])), "finite"),
        (lambda: Simplex(total=0.0), "total"),
        (lambda: L1Ball(-1.0), "radius"),
        (lambda: SecondOrderCone(slope=math.inf), "slope"),
    ]
    for make, what in refused:
        with pytest.raises(SettingError, match=what):
            make()
    for late, what in [(Simplex(0), "batch"), (Simplex(9), "axes"), (Simplex(1, view=(5, 5)), "viewed")]:
        with pytest.raises(SettingError, match=what):
            late.project(points(0))
    with pytest.raises(SettingError, match="columns"):
        Affine(torch.ones(1, 3), torch.ones(1)).project(points(0))
