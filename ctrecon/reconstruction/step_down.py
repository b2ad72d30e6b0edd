"""A step down the energy just long enough that rounding leaves an image certified."""

from __future__ import annotations

import numpy as np
import torch

from ctrecon.certificates.feasible import FeasibleCertificate, NotCertified
from ctrecon.reconstruction.problem import Problem
from ctrecon.support.arrays import Array

MOST_STEPS = 6


def step_down(
    problem: Problem, image: Array, found: FeasibleCertificate | NotCertified, *, attempt: int
) -> Array | None:
    """``image`` moved along the negative gradient until its residual leaves room for the rounding; None: it cannot."""
    point = problem.energy.at(torch.from_numpy(image)[None, None].to(problem.device))
    assert point.discrepancy is not None
    cost = max(found.residual_upper_bound - float(point.discrepancy), 0.0)
    target = problem.delta.value * (1 - 1e-6 * 4**attempt) - attempt * cost
    if not target > 0:
        return None
    ray = point.along(-point.gradient)
    longest = -ray.slope / ray.curvature[:, 0]  # to the minimum along the ray
    share = ray.reach(longest, torch.tensor([target], dtype=torch.float64, device=problem.device))
    if share is None or not bool(torch.isfinite(share).all()):
        return None
    lower: Array = ray.move(longest * share[:, None]).u[0, 0].cpu().numpy()
    return np.ascontiguousarray(lower, dtype=np.float32)
