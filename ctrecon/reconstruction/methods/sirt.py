"""SIRT, stopped at delta (``ctrecon/classical/sirt.py``)."""

from __future__ import annotations

from ctrecon.classical.sirt import sirt_iterates
from ctrecon.reconstruction.methods.following import until_delta
from ctrecon.reconstruction.problem import Outcome, Problem, Watch


def sirt(problem: Problem, *, iterations: int = 1000, watch: Watch | None = None) -> Outcome:
    """The simultaneous iterative reconstruction technique with non-negativity, stopped at delta."""
    energy = problem.energy
    return until_delta(problem, sirt_iterates(problem.operator, energy.data, energy.weights), iterations, watch)
