"""MLEM on line integrals, stopped at delta (``ctrecon/classical/mlem.py``)."""

from __future__ import annotations

from ctrecon.classical.mlem import mlem_iterates
from ctrecon.reconstruction.methods.following import until_delta
from ctrecon.reconstruction.problem import Outcome, Problem, Watch


def mlem(problem: Problem, *, iterations: int = 1000, watch: Watch | None = None) -> Outcome:
    """Maximum likelihood by expectation maximisation of the line integrals, stopped at delta."""
    energy = problem.energy
    return until_delta(problem, mlem_iterates(problem.operator, energy.data, energy.weights), iterations, watch)
