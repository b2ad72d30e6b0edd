"""MLEM on line integrals, stopped at delta (``ctrecon/classical/mlem.py``)."""

from __future__ import annotations

from ctrecon.classical.mlem import mlem_iterates
from ctrecon.reconstruction.methods._following import until_delta
from ctrecon.reconstruction.problem import Outcome, Problem, Watch
from ctrecon.support.checkpoint import NOWHERE, Checkpoint

PLACE = 80
TITLE = "MLEM"


def mlem(
    problem: Problem, *, iterations: int = 1000, watch: Watch | None = None, checkpoint: Checkpoint = NOWHERE
) -> Outcome:
    """Maximum likelihood by expectation maximisation of the line integrals, stopped at delta."""
    energy = problem.energy
    return until_delta(
        problem, lambda state: mlem_iterates(problem.operator, energy.data, energy.weights, state=state), iterations,
        watch, checkpoint,
    )  # fmt: skip
