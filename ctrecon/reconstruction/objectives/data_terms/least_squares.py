"""``1/2 ||W^(1/2) (A u - f)||^2``: the misfit of the data itself."""

from __future__ import annotations

from ctrecon.classical.tv_solver import HuberTVSolver
from ctrecon.reconstruction.objective import Objective, pull_of
from ctrecon.reconstruction.problem import Problem


def least_squares(problem: Problem) -> Objective:
    """Least squares in delta's own norm; at delta it is ``delta^2 / 2``."""
    column = HuberTVSolver(problem.operator, problem.energy.data).column
    delta = problem.delta.value
    return Objective(energy=problem.energy, pull=pull_of(problem.energy, delta, column), level=delta**2 / 2)
