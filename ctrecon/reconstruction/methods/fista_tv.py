"""FISTA with total variation, stopped at delta (``ctrecon/classical/fista_tv.py``)."""

from __future__ import annotations

from ctrecon.classical.fista_tv import fista_tv_iterates
from ctrecon.classical.tv_solver import HuberTVSolver
from ctrecon.reconstruction.methods._following import until_delta
from ctrecon.reconstruction.objective import pull_of
from ctrecon.reconstruction.problem import Outcome, Problem, Watch
from ctrecon.support.checkpoint import NOWHERE, Checkpoint

PLACE = 50
TITLE = "FISTA with total variation"
# The first weight in units of the noise's pull at a pixel: several times what meets delta.
FIRST = 8.0


def fista_tv(
    problem: Problem, *, iterations: int = 500, watch: Watch | None = None, checkpoint: Checkpoint = NOWHERE
) -> Outcome:
    """FISTA with total variation and non-negativity, its weight lowered until delta is met."""
    column = HuberTVSolver(problem.operator, problem.energy.data).column
    alpha = max(FIRST * pull_of(problem.energy, problem.delta.value, column), 1e-30)
    return until_delta(
        problem, lambda state: fista_tv_iterates(problem.energy, alpha, state=state), iterations, watch, checkpoint
    )
