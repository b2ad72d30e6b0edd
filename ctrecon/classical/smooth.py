"""A smooth image to hold against: Huber-TV with a weight taken from delta, solved roughly.

Total variation is hard to beat where an image is piecewise constant. So the network is shown such an image and asked
for what it lacks; with the oracle's weight it would be the yardstick of every comparison (``oracle.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ctrecon.classical.cgls import cgls
from ctrecon.classical.tv import RELATIVE_EPSILON
from ctrecon.classical.tv_solver import HuberTVSolver, TVResult
from ctrecon.energies.least_squares import values_that_count
from ctrecon.errors import SettingError
from ctrecon.support.checkpoint import NOWHERE, Checkpoint, Within

# The weight in units of the noise's pull at a pixel. The best one by PSNR lies between 0.35 and 1.2.
STRENGTH = 0.8
# Of volumes of few materials the best weight is larger: edges that cut through voxels pull, too, and noise has a third
# axis to be averaged over. Such a volume explains the data with STRONG, as TRIAL iterations show; what leaves more than
# delta is more finely structured, and gets the weaker the more it leaves.
STRONG, TRIAL = 3.2, 10
WEAKER = ((1.05, STRENGTH), (1.0, 1.6))
TOLERANCE = 1e-2


def smooth_image(
    solver: HuberTVSolver,
    data: Tensor,
    delta: Tensor,
    weights: Tensor | None = None,
    *,
    times: Tensor | float = 1.0,
    most_iterations: int = 100,
    state: Mapping[str, Any] | None = None,
    checkpoint: Checkpoint = NOWHERE,
) -> Tensor:
    """Non-negative images ``[batch, 1, rows, columns]``, about 1% from the minimiser; homogeneous of degree one.

    ``data`` ``[batch, 1, views, detectors]``, ``delta`` ``[batch]`` is taken for the norm of the (whitened) noise; of
    volumes both have an axis more. The weight is ``times`` the usual one.
    ``checkpoint`` is offered what, as ``state``, it goes on from. Raises SettingError for ``delta <= 0``.
    """
    if not bool((delta > 0).all()):
        raise SettingError(f"delta must be > 0, got {float(delta.min())}")
    image = cgls(solver.operator, data, most_iterations=8, weights=weights).image
    span = image.flatten(1).amax(1).clamp_min(0) - image.flatten(1).amin(1).clamp_min(0)
    count = torch.as_tensor(values_that_count(data, weights), dtype=torch.float64, device=data.device)
    pull = delta.double().to(data.device) / count.sqrt() * solver.column
    if weights is not None:
        pull = pull * weights.double().flatten(1).mean(1).sqrt()
    pull = pull * torch.as_tensor(times, dtype=pull.dtype, device=pull.device)
    earlier = {} if state is None else state

    def solved(strength: Tensor, start: Tensor, stage: str, most: int = most_iterations) -> TVResult:
        return solver.solve(
            data,
            alpha=(strength * pull).clamp_min(1e-30),
            epsilon=(RELATIVE_EPSILON * span).clamp_min(1e-12),
            weights=weights,
            start=start,
            tolerance=TOLERANCE,
            most_iterations=most,
            state=earlier.get(stage),
            checkpoint=Within(checkpoint, stage, lambda: {"strength": strength}),
        )

    strength = earlier.get("strength")
    if data.ndim == 5 and "last" not in earlier:
        strong = torch.full_like(pull, STRONG)
        tried = solved(strong, image, "trial", min(TRIAL, most_iterations))
        image, strength = tried.image, _weaker(strong, tried.discrepancy / delta.to(tried.discrepancy))
    return solved(torch.full_like(pull, STRENGTH) if strength is None else strength, image, "last").image


def _weaker(strong: Tensor, left: Tensor) -> Tensor:
    """The strengths of images that left so much, in units of delta."""
    strength = strong
    for most, weaker in reversed(WEAKER):
        strength = torch.where(left > most, torch.full_like(strong, weaker), strength)
    return strength
