"""The history that a method leaves, in one form for all: of a descent, and of a classical method."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from ctrecon.classical.iterated import Iterated
from ctrecon.descent.descend import Iterate
from ctrecon.descent.stopping import Reason
from ctrecon.energies.base import inner
from ctrecon.reconstruction.problem import IterationRecord, Outcome, Problem, Watch, kept, taken_up
from ctrecon.support.arrays import Array
from ctrecon.support.checkpoint import NOWHERE, Checkpoint, State

# Methods aim this much below delta, so that what float32 found still holds when float64 checks it.
ROUNDING = 1e-5


def followed(
    path: Callable[[State | None], Iterator[Iterate]], watch: Watch | None, device: torch.device,
    checkpoint: Checkpoint = NOWHERE,
) -> Outcome:
    """The end of a descent. No proof that nothing in the box meets delta ends one: its images may leave the box.

    ``path``: all its iterates, or from that on whose state it is given.
    """
    earlier = checkpoint.recall(device)
    history = taken_up(None if earlier is None else earlier["history"])
    last: Iterate | None = None
    for last in path(None if earlier is None else earlier["iterate"]):
        if len(history) > last.k:
            continue
        residual = last.point.discrepancy
        assert residual is not None
        history.append(IterationRecord(last.k, float(last.point.value), float(residual)))
        if watch is not None:
            watch(history[-1])
        if not last.finished:
            checkpoint.offer(partial(_of_descent, history, last))
    assert last is not None
    reason = last.reasons[0] or Reason.BUDGET
    return Outcome(image=image_of(last.u), reason=reason.value, history=tuple(history))


class Following:
    """The history of a classical method, from the discrepancies it reports."""

    def __init__(self, problem: Problem, watch: Watch | None, earlier: Tensor | None = None) -> None:
        self.problem, self.watch = problem, watch
        self.history = taken_up(earlier)
        if not self.history:
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
    problem: Problem, iterates: Callable[[State | None], Iterator[Iterated]], iterations: int, watch: Watch | None,
    checkpoint: Checkpoint = NOWHERE,
) -> Outcome:
    """The first of the images that meets delta; else the one of least residual.

    ``iterates``: all of them, or from that on whose state it is given.
    """
    earlier = checkpoint.recall(problem.device)
    path = Following(problem, watch, None if earlier is None else earlier["history"])
    best, least, begun = problem.start, math.inf, 0
    if earlier is not None:
        best, least, begun = earlier["best"], earlier["least"], earlier["k"]
    for k, now in enumerate(iterates(None if earlier is None else earlier["iterate"]), start=begun):
        residual = inner(now.residual, problem.energy.weighted(now.residual)).sqrt()
        if k > begun:
            path.add(residual)
        if float(residual) < least:
            best, least = now.image, float(residual)
        if least <= problem.delta.value * (1 - ROUNDING) or now.at_rest or k >= iterations:
            break
        if k > begun or earlier is None:
            checkpoint.offer(partial(kept, path.history, best=best, least=least, k=k, iterate=now.state))
    unmet = "stationary" if now.at_rest else "iterations spent"
    return path.outcome(best, "discrepancy met" if least <= problem.delta.value else unmet)


def _of_descent(history: Sequence[IterationRecord], last: Iterate) -> State:
    return kept(history, iterate=last.state)


def image_of(u: Tensor) -> Array:
    """``[rows, columns]``, float32, of a batch of one."""
    return np.ascontiguousarray(u[0, 0].detach().cpu().numpy(), dtype=np.float32)
