"""Steepest descent with backtracking, as in the comparisons of "Controlling Neural Networks via Energy Dissipation"."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor

from ctrecon.descent.descend import Iterate, descend
from ctrecon.descent.directions import NegativeGradient
from ctrecon.descent.step import Armijo
from ctrecon.descent.stopping import Discrepancy, Plateau
from ctrecon.reconstruction.methods._following import followed
from ctrecon.reconstruction.objective import Objective
from ctrecon.reconstruction.problem import Outcome, Problem, Watch
from ctrecon.support.checkpoint import NOWHERE, Checkpoint, State

PLACE = 20
TITLE = "gradient descent"
# 2 / L turns the steepest part of the misfit over and leaves it as large as it was; whoever demands hardly any fall
# takes that step again and again, or not, by the last digits of L (with a dead ray or two, L is 1% less). A quarter of
# what the slope promises lets it fall by half at least.
_FALL = 0.25


def gradient(
    problem: Problem, *, objective: Objective | None = None, iterations: int = 2000, watch: Watch | None = None,
    checkpoint: Checkpoint = NOWHERE,
) -> Outcome:
    """Steepest descent with backtracking; stops at delta, or where the energy falls no further.

    Args:
        problem: What is to be solved.
        objective: The energy that falls; None for the misfit itself.
        iterations: At most.
        watch: Hears of every iteration.
        checkpoint: Keeps what it goes on from.

    Returns:
        The image ``[rows, columns]``, why it ended, and its history.
    """
    energy = problem.energy if objective is None else objective.energy
    length = 1 / energy.lipschitz_at(problem.start)

    class Scaled(NegativeGradient):
        def __call__(self, point: object) -> Tensor:
            # In units where tau = 1 is a sensible first try, 2 / L; backtracking starts there.
            return 2 * length * super().__call__(point)  # type: ignore[arg-type]

    stop = (Discrepancy(problem.delta.value), Plateau(1e-4))

    def path(state: State | None) -> Iterator[Iterate]:
        return descend(
            energy, Scaled(), problem.start, step=Armijo(c=_FALL), stop=stop, most_iterations=iterations, state=state
        )

    return followed(path, watch, problem.device, checkpoint)
