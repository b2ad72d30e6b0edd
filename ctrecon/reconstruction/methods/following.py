"""The history that a method leaves, in one form for all: of a descent, and of a classical method."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from torch import Tensor

from ctrecon.descent.descend import Iterate
from ctrecon.descent.stopping import Reason
from ctrecon.energies.base import inner
from ctrecon.reconstruction.problem import IterationRecord, Outcome, Problem, Watch
from ctrecon.support.arrays import Array

# Methods aim this much below delta, so that what float32 found still holds when float64 checks it.
ROUNDING = 1e-5


def followed(path: Iterator[Iterate], watch: Watch | None) -> Outcome:
    """The end of a descent. No proof that nothing in the box meets delta ends one: its images may leave the box."""
    history: list[IterationRecord] = []
    last: Iterate | None = None
    for last in path:
        residual = last.point.discrepancy
        assert residual is not None
        history.append(IterationRecord(last.k, float(last.point.value), float(residual)))
        if watch is not None:
            watch(history[-1])
    assert last is not None
    reason = last.reasons[0] or Reason.BUDGET
    return Outcome(image=image_of(last.u), reason=reason.value, history=tuple(history))


class Following:
    """The history of a classical method, from the discrepancies it reports."""

    def __init__(self, problem: Problem, watch: Watch | None) -> None:
        self.problem, self.watch = problem, watch
        self.history: list[IterationRecord] = []
        self._note(self._at(0, problem.start))

    def add(self, discrepancy: Tensor) -> None:
        residual = float(discrepancy[0])
        self._note(IterationRecord(len(self.history), 0.5 * residual**2, residual))

    def outcome(self, image: Tensor, reason: str) -> Outcome:
        """The last entry is recomputed from the image, which may be an earlier one."""
        last = self.history.pop() if len(self.history) > 1 else None
        found = self._at(1 if last is None else last.iteration, image)
        if last is None or not math.isclose(last.residual, found.residual, rel_tol=1e-4):
            self._note(found)
        else:
            self.history.append(found)
        return Outcome(image=image_of(image), reason=reason, history=tuple(self.history))

    def _at(self, iteration: int, image: Tensor) -> IterationRecord:
        point = self.problem.energy.at(image)
        assert point.discrepancy is not None
        return IterationRecord(iteration, float(point.value), float(point.discrepancy))

    def _note(self, record: IterationRecord) -> None:
        self.history.append(record)
        if self.watch is not None:
            self.watch(record)


def until_delta(
    problem: Problem, iterates: Iterator[tuple[Tensor, Tensor]], iterations: int, watch: Watch | None
) -> Outcome:
    """The first of the images, each with its ``A u - f``, that meets delta; else the one of least residual."""
    path = Following(problem, watch)
    best, least = problem.start, math.inf
    for k, (u, r) in enumerate(iterates):
        residual = inner(r, problem.energy.weighted(r)).sqrt()
        if k:
            path.add(residual)
        if float(residual) < least:
            best, least = u, float(residual)
        if least <= problem.delta.value * (1 - ROUNDING) or k >= iterations:
            break
    return path.outcome(best, "discrepancy met" if least <= problem.delta.value else "iterations spent")


def image_of(u: Tensor) -> Array:
    """``[rows, columns]``, float32, of a batch of one."""
    return np.ascontiguousarray(u[0, 0].detach().cpu().numpy(), dtype=np.float32)
