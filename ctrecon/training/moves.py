"""The step search of ``WholeAnswers`` and the cut of ``Discrepancy`` for least squares, without a look at any number.

What a GPU is told must not depend on what it has found, or the processor waits for it at every question: so nothing
here branches on values. The rules are those of ``descent/step.py`` and ``descent/stopping.py`` with their backtracking
left out: least squares are quadratic, the model that the search minimises is the energy itself, and its minimum
satisfies Armijo's condition at once. Tests compare the two.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ctrecon.descent.stopping import Discrepancy

_SHARE = 0.5
_ARMIJO = 1e-4
_RIDGE = 1e-9


@dataclass(frozen=True)
class Quadratic:
    """``E(tau) = value + slope . tau + 1/2 tau . curvature tau`` per sample, ``[batch, directions]``, float64."""

    value: Tensor
    slope: Tensor
    curvature: Tensor

    @classmethod
    def along(cls, residual: Tensor, weights: Tensor, images: tuple[Tensor, ...]) -> Quadratic:
        """``1/2 ||W^(1/2) (r + sum_j tau_j a_j)||^2`` for images ``a_j`` of the shape of ``residual``."""
        root = weights.double().sqrt()
        rows = torch.stack([(root * part).flatten(1) for part in (residual, *images)], dim=1)
        gram = rows @ rows.mT
        return cls(0.5 * gram[:, 0, 0], gram[:, 0, 1:], gram[:, 1:, 1:])

    def at(self, tau: Tensor) -> Tensor:
        """``E(tau)``, ``[batch]``."""
        return (self.value + (self.slope * tau).sum(1) + 0.5 * self._bend(tau)).clamp_min(0)

    def _bend(self, tau: Tensor) -> Tensor:
        return (tau[:, None] @ self.curvature @ tau[:, :, None])[:, 0, 0]

    def best_length(self, d: Tensor) -> Tensor:
        """``t d`` of least energy."""
        t = -(self.slope * d).sum(1) / self._bend(d).clamp_min(torch.finfo(torch.float64).tiny)
        return t[:, None] * d

    def minimum(self) -> Tensor:
        """The least energy over the span of the directions; those that are zero are left out."""
        scale = self.curvature.diagonal(dim1=1, dim2=2).clamp_min(0).sqrt()
        inverse = torch.where(scale > 0, 1 / scale, torch.zeros_like(scale))
        model = inverse[:, :, None] * self.curvature * inverse[:, None, :]
        unit = torch.diag_embed(torch.where(scale > 0, _RIDGE, 1.0).to(model))
        return inverse * _solved(model + unit, -(self.slope * inverse))

    def falls(self, tau: Tensor) -> Tensor:
        """Armijo's condition."""
        return self.at(tau) <= self.value + _ARMIJO * (self.slope * tau).sum(1)

    def reach(self, tau: Tensor, level: Tensor) -> Tensor:
        """The smallest ``t`` in [0, 1] with ``E(t tau) <= level``, NaN where there is none."""
        a, b, c = self._bend(tau), (self.slope * tau).sum(1), 2 * (self.value - level)
        t = c / (-b + (b * b - a * c).sqrt())
        return torch.where((t >= 0) & (t <= 1) & (c > 0), t, torch.nan)


def _solved(matrix: Tensor, right: Tensor) -> Tensor:
    """Elimination without pivots, for small positive definite systems: library solvers look for errors and wait."""
    rows, size = torch.cat([matrix, right[:, :, None]], dim=2), right.shape[1]
    for k in range(size):
        row = rows[:, k : k + 1] / rows[:, k : k + 1, k : k + 1]
        rest = rows - rows[:, :, k : k + 1] * row
        rows = torch.cat([rest[:, :k], row, rest[:, k + 1 :]], dim=1)
    return rows[:, :, size]


def whole_answer(energy: Quadratic, d: Tensor, delta: Tensor) -> Tensor:
    """How far to go, ``[batch, directions]``: the first direction is an answer of its own length ``d[:, 0]``.

    Above ``delta`` it goes as far as ``Subspace`` with ``own_length`` lets it, cut on the sphere unless it is a whole
    answer; at or below ``delta`` by its own length where that lowers E, else by its best one.
    """
    start = energy.value
    best = energy.minimum()
    least = energy.at(best)
    far = best
    alone = energy.best_length(d)
    for tried in (alone, d):
        fall = start - energy.at(tried)
        enough = torch.isfinite(fall) & (fall >= _SHARE * (start - least))
        far = torch.where(enough[:, None], tried, far)
    near = start <= delta.square() / 2
    own = torch.where(energy.falls(d)[:, None], d, torch.where(energy.falls(alone)[:, None], alone, 0.0))
    tau = torch.where(near[:, None], own, far)
    target = _target(delta, 2) ** 2 / 2
    t = energy.reach(tau, target)
    cut = torch.isfinite(t) & (energy.at(tau) < target) & (start > target) & ~(tau == d).all(1)
    return torch.where(cut, t, 1.0)[:, None] * tau


def met(value: Tensor, delta: Tensor) -> Tensor:
    """Whether an energy is that of an image which explains the data to ``delta``, as ``Discrepancy`` says it."""
    return value <= _target(delta, 4) ** 2 / 2


def _target(delta: Tensor, part: int) -> Tensor:
    return delta * (1 - Discrepancy.margin / part)
