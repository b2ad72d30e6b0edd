"""Huber total variation with non-negativity, the classical yardstick (``ctrecon/classical/tv.py``)."""

from __future__ import annotations

from ctrecon.classical.tv import tv_at_discrepancy
from ctrecon.reconstruction.methods.following import ROUNDING, Following
from ctrecon.reconstruction.problem import Outcome, Problem, Watch


def huber_tv(problem: Problem, *, watch: Watch | None = None) -> Outcome:
    """Huber-TV with non-negativity, its weight chosen by the residual (V. A. Morozov, 1966).

    The larger the residual, the smoother the image, so it ends where delta aims at, or, where no weight leads there, at
    delta itself.

    Args:
        problem: What is to be solved.
        watch: Hears of every iteration.

    Returns:
        The image ``[rows, columns]``, why it ended, and its history; that runs through the trials of all weights, so
        its residual need not fall.
    """
    path = Following(problem, watch)
    for aim in problem.delta.aims:
        result = tv_at_discrepancy(
            problem.operator,
            problem.energy.data,
            aim * (1 - ROUNDING),
            weights=problem.energy.weights,
            watch=path.add,
        )
        if float(result.discrepancy[0]) <= aim:
            break
    return path.outcome(result.image, result.reason[0])
