"""Conjugate gradients on the normal equations, stopped at delta (``ctrecon/classical/cgls.py``)."""

from __future__ import annotations

from ctrecon.classical.cgls import cgls
from ctrecon.reconstruction.methods.following import ROUNDING, Following
from ctrecon.reconstruction.problem import Outcome, Problem, Watch


def conjugate_gradients(problem: Problem, *, iterations: int = 500, watch: Watch | None = None) -> Outcome:
    """CGLS (``ctrecon/classical/cgls.py``), stopped at delta.

    Args:
        problem: What is to be solved.
        iterations: At most.
        watch: Hears of every iteration.

    Returns:
        The image ``[rows, columns]``, why it ended, and its history.
    """
    path = Following(problem, watch)
    result = cgls(
        problem.operator,
        problem.energy.data,
        most_iterations=iterations,
        delta=problem.delta.value * (1 - ROUNDING),
        weights=problem.energy.weights,
        watch=path.add,
    )
    return path.outcome(result.image, result.reason[0])
