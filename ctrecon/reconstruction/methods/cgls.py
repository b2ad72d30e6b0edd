"""Conjugate gradients on the normal equations, stopped at delta (``ctrecon/classical/cgls.py``)."""

from __future__ import annotations

from collections.abc import Iterator

from ctrecon.classical.cgls import cgls_iterates
from ctrecon.classical.iterated import Iterated
from ctrecon.reconstruction.methods._following import until_delta
from ctrecon.reconstruction.problem import Outcome, Problem, Watch
from ctrecon.support.checkpoint import NOWHERE, Checkpoint, State

PLACE = 30
TITLE = "conjugate gradients (CGLS)"


def cgls(
    problem: Problem, *, iterations: int = 500, watch: Watch | None = None, checkpoint: Checkpoint = NOWHERE
) -> Outcome:
    """CGLS (``ctrecon/classical/cgls.py``), stopped at delta.

    Args:
        problem: What is to be solved.
        iterations: At most.
        watch: Hears of every iteration.
        checkpoint: Keeps what it goes on from.

    Returns:
        The image ``[rows, columns]``, why it ended, and its history.
    """
    energy = problem.energy

    def iterates(state: State | None) -> Iterator[Iterated]:
        for now in cgls_iterates(problem.operator, energy.data, weights=energy.weights, state=state):
            yield Iterated(now.image, -now.residual, dict(now.state), bool(now.flat.all()))

    return until_delta(problem, iterates, iterations, watch, checkpoint)
