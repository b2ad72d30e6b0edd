"""Descents that are attacked, judged by energies written down once more, in numpy and float64.

``python tests/hostile.py 10000 77000`` runs that many from that seed on; ``tests/descent/test_energy_falls.py`` runs
10,000 among the long tests, and a few always.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from ctrecon.descent.descend import Iterate, descend
from ctrecon.descent.directions import Direction
from ctrecon.descent.dissipation import Cone, DissipationSet, HalfSpace
from ctrecon.descent.step import Armijo, ConstantStep, StepSearch, Subspace, WholeAnswers
from ctrecon.descent.stopping import Discrepancy, Reason
from ctrecon.energies.base import Energy, Point
from ctrecon.energies.chain import Chain
from ctrecon.energies.convex_sets import Box, L1Ball
from ctrecon.energies.feasibility import Feasibility
from ctrecon.energies.huber_tv import HuberTV
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.energies.transmission import Transmission
from ctrecon.geometry.fan import FanBeam
from ctrecon.geometry.grid import Grid
from ctrecon.operators.sparse import joseph_matrix, sparse_operator

BATCH = 2
GRID = Grid(rows=12, columns=11, pixel_mm=0.9)
BEAM = FanBeam(
    angles_rad=tuple(np.arange(9) * 2 * math.pi / 9), detector_count=15, detector_spacing_mm=1.8,
    source_to_axis_mm=20.0, source_to_detector_mm=38.0,
)
MATRIX = joseph_matrix(BEAM, GRID, np.float64).toarray()
NORM = float(np.linalg.norm(MATRIX, 2))
_RNG = np.random.default_rng(5)
TRUTH = 0.02 + 0.05 * np.abs(_RNG.standard_normal((BATCH, GRID.rows * GRID.columns)))
DATA = TRUTH @ MATRIX.T
DATA = DATA + 0.003 * np.linalg.norm(DATA) / math.sqrt(DATA.size) * _RNG.standard_normal(DATA.shape)
WEIGHTS = 10.0 ** _RNG.uniform(-2, 2, (1, DATA.shape[1]))
BLANK = _RNG.uniform(50, 500, (1, DATA.shape[1]))
COUNTS = _RNG.poisson(BLANK * np.exp(-TRUTH @ MATRIX.T)).astype(float)

Values = np.ndarray
# E per sample, and what one unit of relative rounding in u and A u may change it by.
Judge = Callable[[Values], tuple[Values, Values]]


@dataclass(frozen=True)
class Attacked:
    """An energy of the library, the same by hand, and the misfit where it has one."""

    energy: Callable[[torch.dtype], Energy]
    judge: Judge
    misfit: Callable[[Values], Values] | None = None


def _tensor(values: Values, dtype: torch.dtype) -> Tensor:
    return torch.from_numpy(values).to(dtype).reshape(-1, 1, *BEAM.shape)


def _least_squares(weights: Values | None) -> Attacked:
    w = np.ones((1, DATA.shape[1])) if weights is None else weights

    def misfit(u: Values) -> Values:
        return np.sqrt((w * (u @ MATRIX.T - DATA) ** 2).sum(1))

    def judge(u: Values) -> tuple[Values, Values]:
        size = math.sqrt(w.max()) * (NORM * np.linalg.norm(u, axis=1) + np.linalg.norm(DATA, axis=1))
        return misfit(u) ** 2 / 2, misfit(u) * size

    def energy(dtype: torch.dtype) -> Energy:
        given = None if weights is None else _tensor(weights, dtype)
        return LeastSquares(sparse_operator(BEAM, GRID, dtype=dtype), _tensor(DATA, dtype), given)

    return Attacked(energy, judge, misfit)


def _huber(u: Values, epsilon: float) -> tuple[Values, Values]:
    image = u.reshape(-1, *GRID.shape)
    down, right = np.zeros_like(image), np.zeros_like(image)
    down[:, :-1], right[:, :, :-1] = np.diff(image, axis=1), np.diff(image, axis=2)
    t = np.hypot(down, right)
    value = np.where(t <= epsilon, t * t / (2 * epsilon), t - epsilon / 2).sum((1, 2))
    return value, 4 * np.abs(image).sum((1, 2))


def _transmission(u: Values) -> tuple[Values, Values]:
    line = u @ MATRIX.T
    mean = BLANK * np.exp(-line)
    safe = np.where(COUNTS > 0, COUNTS, 1)
    terms = np.where(COUNTS > 0, mean - COUNTS - COUNTS * (np.log(BLANK / safe) - line), mean)
    slope = np.sqrt(((mean - COUNTS) ** 2).sum(1))
    return terms.sum(1), slope * NORM * np.linalg.norm(u, axis=1) + np.abs(terms).sum(1)


def _to_l1_ball(u: Values, radius: float) -> Values:
    """By bisection of the threshold."""
    low, high = np.zeros((len(u), 1)), np.abs(u).max(1, keepdims=True)
    for _ in range(200):
        middle = (low + high) / 2
        above = np.maximum(np.abs(u) - middle, 0).sum(1, keepdims=True) > radius
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    outside = np.abs(u).sum(1, keepdims=True) > radius
    return np.where(outside, np.sign(u) * np.maximum(np.abs(u) - high, 0), u)


def _feasibility(u: Values) -> tuple[Values, Values]:
    away = (u - np.clip(u, 0.03, 0.05), u - _to_l1_ball(u, 3.0))
    value = sum((one**2).sum(1) for one in away) / 4
    length = sum(np.linalg.norm(one, axis=1) for one in away) / 2
    return value, 4 * length * np.linalg.norm(u, axis=1)


def _sum(*parts: tuple[float, Attacked]) -> Attacked:
    def energy(dtype: torch.dtype) -> Energy:
        first, *others = (a * part.energy(dtype) for a, part in parts)
        for other in others:
            first = first + other
        return first

    def judge(u: Values) -> tuple[Values, Values]:
        found = [(a, *part.judge(u)) for a, part in parts]
        return sum(a * value for a, value, _ in found), sum(a * unit for a, _, unit in found)

    return Attacked(energy, judge, next((part.misfit for _, part in parts if part.misfit), None))


PLAIN, WEIGHTED = _least_squares(None), _least_squares(WEIGHTS)
ROUGHNESS = Attacked(lambda dtype: HuberTV(0.01), lambda u: _huber(u, 0.01))
POISSON = Attacked(
    lambda dtype: Transmission(
        sparse_operator(BEAM, GRID, dtype=dtype), _tensor(COUNTS, dtype), _tensor(BLANK, dtype)
    ),
    _transmission,
)
SETS = Attacked(lambda dtype: Feasibility([Box(0.03, 0.05), L1Ball(3.0)]), _feasibility)


class Squares(Energy):
    """Half the squared distance to the data: one function, to stand behind an operator."""

    def __init__(self, f: Tensor) -> None:
        self.f = f

    def value(self, u: Tensor) -> Tensor:
        return 0.5 * (u - self.f).double().square().flatten(1).sum(1)


class Through(Squares):
    """The same with the operator inside of it."""

    def __init__(self, f: Tensor) -> None:
        super().__init__(f)
        self.operator = sparse_operator(BEAM, GRID, dtype=f.dtype)

    def value(self, u: Tensor) -> Tensor:
        return super().value(self.operator(u))


CHAIN = Attacked(lambda t: Chain(Squares(_tensor(DATA, t)), sparse_operator(BEAM, GRID, dtype=t)), PLAIN.judge)
FUNCTION = Attacked(lambda t: Through(_tensor(DATA, t)), PLAIN.judge)
ENERGIES: dict[str, Attacked] = {
    "least squares": PLAIN, "weighted": WEIGHTED, "huber": ROUGHNESS, "poisson": POISSON, "sets": SETS,
    "data and huber": _sum((1.0, PLAIN), (0.05, ROUGHNESS)),
    "poisson and huber": _sum((2.0, POISSON), (1.0, ROUGHNESS)),
    "chain": CHAIN, "function": FUNCTION, "function and huber": _sum((1.0, FUNCTION), (0.05, ROUGHNESS)),
    "all": _sum((0.1, SETS), (1.0, WEIGHTED), (0.02, ROUGHNESS)),
}


# Directions. Each is made anew for every run, since some remember.


class Alternating:
    """Now up, now down, ever larger."""

    def __init__(self) -> None:
        self.factor = 1.0

    def __call__(self, point: Point) -> Tensor:
        self.factor *= -30.0
        return self.factor * point.gradient


class Remembers:
    """The gradient of two points ago, and what it was before, mixed."""

    def __init__(self, scale: float) -> None:
        self.scale, self.kept = scale, []

    def __call__(self, point: Point) -> Tensor:
        self.kept.append(point.gradient.clone())
        return self.scale * sum((-1) ** k * one for k, one in enumerate(self.kept[-3:]))


class BackAgain:
    """Back to the first image it saw."""

    def __init__(self) -> None:
        self.first: Tensor | None = None

    def __call__(self, point: Point) -> Tensor:
        self.first = point.u.clone() + 1 if self.first is None else self.first
        return 1e3 * (self.first - point.u)


def _noise(point: Point, seed: int = 0) -> Tensor:
    made = torch.randn(point.u.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return made.to(point.u)


def _uphill(scale: float) -> Callable[[], Direction]:
    return lambda: lambda point: scale * point.gradient


def _uphill_and_noise(scale: float) -> Callable[[], Direction]:
    return lambda: lambda point: scale * (point.gradient + 1e-3 * point.gradient.abs().max() * _noise(point))


def _constant(value: float) -> Callable[[], Direction]:
    return lambda: lambda point: torch.full_like(point.u, value)


def _odd(point: Point) -> Tensor:
    z = _noise(point)
    z[0, 0, 0, 0] = math.nan
    return z


DIRECTIONS: list[Callable[[], Direction]] = [
    *(_uphill(10.0**k) for k in range(13)), *(_uphill_and_noise(10.0**k) for k in range(0, 13, 2)),
    lambda: _uphill(300.0)(), *(_constant(v) for v in (1e38, -1e38, 1e-38, -1e-38, 0.0, 1.0, -1e6, math.inf)),
    Alternating, lambda: Remembers(1.0), lambda: Remembers(-1e4), BackAgain, lambda: _odd,
    *(lambda s=s: lambda point: s * _noise(point) for s in (1e-30, 1e-6, 1.0, 1e6, 1e15)),
    lambda: lambda point: -point.gradient, lambda: lambda point: -1e-12 * point.gradient,
    lambda: lambda point: -point.gradient * (1 + 1e-6 * _noise(point)),
    lambda: lambda point: point.u * -2, lambda: lambda point: 1e4 * point.u + point.gradient,
    lambda: lambda point: torch.zeros_like(point.u) if point.last_step is None else -1e3 * point.last_step,
    lambda: lambda point: -point.gradient if point.last_step is None else point.last_step * (1 + 1e-7),
]
STEPS: list[Callable[[float], StepSearch]] = [
    lambda L: Subspace(), lambda L: Subspace(share=1.0), lambda L: Subspace(own_length=True), lambda L: Armijo(),
    lambda L: Armijo(c=0.3, rho=0.7), lambda L: WholeAnswers(1e-3), lambda L: ConstantStep(1.0),
    lambda L: ConstantStep(100.0), lambda L: ConstantStep(1e-9),
]
SETS_OF_DESCENT: list[Callable[[float], DissipationSet | None]] = [
    lambda L: None, lambda L: HalfSpace(1.0 / L), lambda L: HalfSpace(1e-6, as_printed=True),
    lambda L: Cone(0.1 / L, 10.0 / L), lambda L: Cone(1.0 / L, 1.0 / L), lambda L: HalfSpace(100.0 / L),
]
DELTAS = (None, 0.5, 0.05, 0.01)


@dataclass(frozen=True)
class Case:
    """One attack, by its number: every choice follows from a generator with that seed."""

    seed: int

    def run(self) -> str | None:
        """What went wrong, or None."""
        rng = np.random.default_rng(self.seed)
        name = str(rng.choice(list(ENERGIES)))
        dtype = (torch.float32, torch.float64)[int(rng.integers(2))]
        attacked = ENERGIES[name]
        energy = attacked.energy(dtype)
        start = (np.zeros_like, lambda u: u + 0.01, lambda u: 100 * u)[int(rng.integers(3))](TRUTH)
        first = torch.from_numpy(start).to(dtype).reshape(BATCH, 1, *GRID.shape)
        L = energy.lipschitz_at(first)
        which, step, where = (int(rng.integers(len(some))) for some in (DIRECTIONS, STEPS, SETS_OF_DESCENT))
        stop: tuple[Discrepancy, ...] = ()
        delta = DELTAS[int(rng.integers(len(DELTAS)))]
        limit = None
        if delta is not None and attacked.misfit is not None:
            limit = delta * attacked.misfit(np.zeros_like(TRUTH))
            stop = (Discrepancy(torch.from_numpy(limit), whole=bool(rng.integers(2))),)
        said = f"{self}: {name}, {dtype}, direction {which}, step {step}, set {where}, delta {delta}"
        iterates = list(descend(
            energy, DIRECTIONS[which](), first, dissipation=SETS_OF_DESCENT[where](L), step=STEPS[step](L), stop=stop,
            most_iterations=6,
        ))
        return verdict(attacked, iterates, dtype, limit, said)


def verdict(
    attacked: Attacked, iterates: list[Iterate], dtype: torch.dtype, limit: Values | None, said: str
) -> str | None:
    """Whether E by hand never rose by more than its rounding and the discrepancy is what was said."""
    eps = float(torch.finfo(dtype).eps)
    images = [it.u.double().reshape(BATCH, -1).numpy() for it in iterates]
    judged = [attacked.judge(u) for u in images]
    for k, ((before, unit), (after, other)) in enumerate(pairwise(judged)):
        # Of what E is computed from, at most a few units in the last place.
        allowed = 4 * eps * (unit + np.minimum(other, 10 * unit)) + 16 * eps * np.abs(before)
        if not bool((after <= before + allowed).all()):
            return f"{said}: E rose from {before} to {after} (allowed {allowed}) at step {k + 1}"
    told = torch.stack([it.point.value for it in iterates])
    if not bool((told[1:] <= told[:-1]).all()):
        return f"{said}: E is told to rise: {told.tolist()}"
    if limit is not None and attacked.misfit is not None:
        met = np.array([reason is Reason.DISCREPANCY for reason in iterates[-1].reasons])
        found = attacked.misfit(images[-1])
        if bool((met & (found > limit * (1 + 1e-5))).any()):
            return f"{said}: delta {limit} is said to be met, but {found / limit - 1} is over it"
    return None


def main(count: int = 10_000, first: int = 0) -> None:
    torch.set_num_threads(1)
    failures = [found for seed in range(first, first + count) if (found := Case(seed).run()) is not None]
    for found in failures[:20]:
        print(found)
    print(f"{len(failures)} of {count} attacks succeeded")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
