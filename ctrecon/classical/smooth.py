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
from ctrecon.classical.tv_solver import HuberTVSolver
from ctrecon.energies.least_squares import values_that_count
from ctrecon.errors import SettingError
from ctrecon.support.checkpoint import NOWHERE, Checkpoint

# The weight in units of the noise's pull at a pixel. The best one by PSNR lies between 0.35 and 1.2.
STRENGTH = 0.8
TOLERANCE = 1e-2


def smooth_image(
    solver: HuberTVSolver,
    data: Tensor,
    delta: Tensor,
    weights: Tensor | None = None,
    *,
    strength: Tensor | float = STRENGTH,
    most_iterations: int = 100,
    state: Mapping[str, Any] | None = None,
    checkpoint: Checkpoint = NOWHERE,
) -> Tensor:
    """Non-negative images ``[batch, 1, rows, columns]``, about 1% from the minimiser; homogeneous of degree one.

    ``data`` ``[batch, 1, views, detectors]``, ``delta`` ``[batch]`` is taken for the norm of the (whitened) noise.
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
    return solver.solve(
        data,
        alpha=(torch.as_tensor(strength, dtype=pull.dtype, device=pull.device) * pull).clamp_min(1e-30),
        epsilon=(RELATIVE_EPSILON * span).clamp_min(1e-12),
        weights=weights,
        start=image,
        tolerance=TOLERANCE,
        most_iterations=most_iterations,
        state=state,
        checkpoint=checkpoint,
    ).image
