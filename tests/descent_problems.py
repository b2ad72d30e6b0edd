"""A small problem of least squares, and directions that no descent should be given."""

from __future__ import annotations

import numpy as np
import scipy.sparse
import torch
from torch import Tensor

from ctrecon.descent.descend import Iterate, descend
from ctrecon.energies.base import Energy, Point
from ctrecon.energies.least_squares import LeastSquares
from ctrecon.operators.sparse import SparseOperator


def small_problem(seed: int = 0, m: int = 30, n: int = 20, batch: int = 3) -> tuple[LeastSquares, Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((m, n)) * np.geomspace(1, 0.1, n)
    operator = SparseOperator(scipy.sparse.csr_matrix(matrix), (1, 4, 5), (1, 5, 6), dtype=torch.float64)
    truth = torch.from_numpy(rng.standard_normal((batch, 1, 4, 5)))
    data = operator(truth) + 0.05 * torch.from_numpy(rng.standard_normal((batch, 1, 5, 6)))
    return LeastSquares(operator, data), truth, torch.from_numpy(matrix)


class Random:
    def __init__(self, seed: int = 0, scale: float = 1.0) -> None:
        self.generator, self.scale = torch.Generator().manual_seed(seed), scale

    def __call__(self, point: Point) -> Tensor:
        return self.scale * torch.randn(point.u.shape, generator=self.generator, dtype=point.u.dtype)


class Uphill:
    """As adversarial as can be: straight against the descent, with a random part."""

    def __call__(self, point: Point) -> Tensor:
        noise = torch.randn(point.u.shape, generator=torch.Generator().manual_seed(1), dtype=point.u.dtype)
        return 100 * point.gradient + point.gradient.norm() * noise


class Constant:
    def __init__(self, value: float) -> None:
        self.value = value

    def __call__(self, point: Point) -> Tensor:
        return torch.full_like(point.u, self.value)


def run(energy: Energy, direction: object, start: Tensor, **kwargs: object) -> list[Iterate]:
    return list(descend(energy, direction, start, **kwargs))  # type: ignore[arg-type]
