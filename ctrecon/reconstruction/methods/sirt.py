"""SIRT, stopped at delta (``ctrecon/classical/sirt.py``)."""

from __future__ import annotations

from ctrecon.classical.sirt import sirt_iterates
from ctrecon.reconstruction.methods._following import until_delta
from ctrecon.reconstruction.problem import Outcome, Problem, Watch
from ctrecon.support.checkpoint import NOWHERE, Checkpoint

PLACE = 60
TITLE = "SIRT"


def sirt(
    problem: Problem, *, iterations: int = 1000, watch: Watch | None = None, checkpoint: Checkpoint = NOWHERE
) -> Outcome:
    """The simultaneous iterative reconstruction technique with non-negativity, stopped at delta."""
    energy = problem.energy
    return until_delta(
        problem, lambda state: sirt_iterates(problem.operator, energy.data, energy.weights, state=state), iterations,
        watch, checkpoint,
    )  # fmt: skip
