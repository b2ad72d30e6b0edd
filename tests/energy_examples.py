"""An example of every energy, for the laws: a new class gets a function and a line in ``EXAMPLES``."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from laws import random_like
from torch import Tensor

from ctrecon.energies.base import Energy, SumEnergy
from ctrecon.energies.chain import Chain
from ctrecon.energies.convex_sets import Box, ConvexSet, Fixed, L1Ball, Simplex
from ctrecon.energies.feasibility import Feasibility
from ctrecon.energies.huber_tv import HuberTV
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.energies.transmission import Transmission
from ctrecon.geometry.grid import Grid
from ctrecon.geometry.parallel import ParallelBeam
from ctrecon.operators.base import Multiple
from ctrecon.operators.pooling import AveragePooling
from ctrecon.operators.sparse import SparseOperator, sparse_operator

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
