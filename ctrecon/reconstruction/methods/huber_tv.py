"""Huber total variation with non-negativity, the classical yardstick (``ctrecon/classical/tv.py``)."""

from __future__ import annotations

from functools import partial

from ctrecon.classical.tv import tv_at_discrepancy
from ctrecon.reconstruction.methods._following import ROUNDING, Following
from ctrecon.reconstruction.problem import Outcome, Problem, Watch, kept
from ctrecon.support.checkpoint import NOWHERE, Checkpoint, State, Within

PLACE = 40
TITLE = "Huber total variation"
VOLUMES_HELD = 14.0


def huber_tv(problem: Problem, *, watch: Watch | None = None, checkpoint: Checkpoint = NOWHERE) -> Outcome:
    """Huber-TV with non-negativity, its weight chosen by the residual (V. A. Morozov, 1966).

    The larger the residual, the smoother the image, so it ends where delta aims at, or, where no weight leads there, at
    delta itself.

    Args:
        problem: What is to be solved.
        watch: Hears of every iteration.
        checkpoint: Keeps what it goes on from.

    Returns:
        The image ``[rows, columns]``, why it ended, and its history; that runs through the trials of all weights, so
        its residual need not fall.
    """
    earlier = checkpoint.recall(problem.device)
    path = Following(problem, watch, None if earlier is None else earlier["history"])
    begun, state = (0, None) if earlier is None else (earlier["aim"], earlier["search"])
    for number, aim in list(enumerate(problem.delta.aims))[begun:]:
        result = tv_at_discrepancy(
            problem.operator,
            problem.energy.data,
            aim * (1 - ROUNDING),
            weights=problem.energy.weights,
            watch=path.add,
            state=state,
            checkpoint=Within(checkpoint, "search", partial(_around, path, number)),
        )
        state = None
        if float(result.discrepancy[0]) <= aim:
            break
    return path.outcome(result.image, result.reason[0])


def _around(path: Following, aim: int) -> dict[str, State]:
    return kept(path.history, aim=aim)
