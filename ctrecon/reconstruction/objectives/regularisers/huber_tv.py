"""``E(u) + alpha TV_eps(u)``: an energy that also falls where an image becomes less rough."""

from __future__ import annotations

from ctrecon.classical.cgls import cgls
from ctrecon.classical.tv import RELATIVE_EPSILON
from ctrecon.energies.huber_tv import HuberTV
from ctrecon.reconstruction.objective import Objective
from ctrecon.reconstruction.problem import Problem

# In units of the pull of noise at a pixel. The best by PSNR lie between 0.35 and 1.2 (``classical/smooth.py``); with a
# large one the minimum itself leaves more unexplained than delta allows, so rather a small one.
WEIGHT = 0.35


def huber_tv(problem: Problem, objective: Objective, weight: float | None) -> Objective:
    """``weight`` times the noise's pull at a pixel is alpha; None for 0.35. Epsilon is 0.4% of the image's range."""
    alpha = (WEIGHT if weight is None else weight) * objective.pull
    rough = cgls(problem.operator, problem.energy.data, most_iterations=8, weights=problem.energy.weights).image
    span = float(rough.max().clamp_min(0) - rough.min().clamp_min(0))
    energy = objective.energy + alpha * HuberTV(max(RELATIVE_EPSILON * span, 1e-12), spatial=len(problem.shape))
    return Objective(energy=energy, pull=objective.pull)
