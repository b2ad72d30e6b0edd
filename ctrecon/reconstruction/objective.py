"""What a descent lowers, judged by the data: the surrogate energies of "Controlling Neural Networks via Energy
Dissipation", section 3, with the stop rule and the certificate of the data themselves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ctrecon.energies.base import Energy, SumEnergy
from ctrecon.energies.least_squares import LeastSquares, values_that_count
from ctrecon.reconstruction.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Objective:
    """``energy``: what falls; its discrepancy is that of the data.

    ``pull``: how far noise pulls at a pixel, the standard deviation of the gradient there at the true image; the
    natural unit of a regulariser's weight. ``level``: E where only noise is left to explain, None where not known.
    """

    energy: Energy
    pull: float
    level: float | None = None


def judged(problem: Problem, energy: Energy) -> Energy:
    """``energy`` with residual and discrepancy of the problem's data, whatever its own are."""
    return energy if energy is problem.energy else SumEnergy(((0.0, problem.energy), (1.0, energy)))


def pull_of(energy: LeastSquares, delta: float, column: float) -> float:
    """Of noise of norm ``delta``; ``column`` is the norm of a middle column of A."""
    weight = 1.0 if energy.weights is None else float(energy.weights.double().mean())
    return column * delta / math.sqrt(float(values_that_count(energy.data, energy.weights))) * math.sqrt(weight)
