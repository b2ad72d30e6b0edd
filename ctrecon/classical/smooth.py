"""A smooth image to hold against: Huber-TV with a weight taken from delta, solved roughly.

Total variation is hard to beat where an image is piecewise constant. So the network is shown such an image and asked
for what it lacks; with the oracle's weight it would be the yardstick of every comparison (``oracle.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ctrecon.classical.cgls import cgls
from ctrecon.classical.tv import RELATIVE_EPSILON
from ctrecon.classical.tv_solver import HuberTVSolver, TVResult
from ctrecon.energies.least_squares import values_that_count
from ctrecon.errors import SettingError
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.volume.halved import doubled, half_data
from ctrecon.support.checkpoint import NOWHERE, Checkpoint, State, Within

# The weight in units of the noise's pull at a pixel. The best one by PSNR lies between 0.35 and 1.2.
STRENGTH = 0.8
# Of volumes of few materials the best weight is larger: edges that cut through voxels pull, too, and noise has a third
# axis to be averaged over. Such a volume explains the data with STRONG, as TRIAL iterations show; what leaves more than
# delta is more finely structured, and gets the weaker the more it leaves.
STRONG, TRIAL = 3.2, 10
WEAKER = ((1.05, STRENGTH), (1.0, 1.6))
# How near to the minimiser it ends. A volume that is further from it has fewer steps of its own where the object has
# slopes, and what the network makes of it is as good: 18 iterations in place of 30 (``docs/tutorial_volumes.md``).
TOLERANCE, TOLERANCE_IN_SPACE = 1e-2, 3e-2


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
    count = torch.as_tensor(values_that_count(data, weights), dtype=torch.float64, device=data.device)
    pull = delta.double().to(data.device) / count.sqrt() * solver.column
    if weights is not None:
        pull = pull * weights.double().flatten(1).mean(1).sqrt()
    pull = pull * torch.as_tensor(times, dtype=pull.dtype, device=pull.device)
    earlier = {} if state is None else state
    epsilon, strength = earlier.get("epsilon"), earlier.get("strength")
    image = None  # where it goes on, the state has it
    if epsilon is None:
        image = _start(solver.operator, data, STRONG * pull, weights, most_iterations)
        epsilon = _epsilon(image)
    tolerance = TOLERANCE_IN_SPACE if data.ndim == 5 else TOLERANCE

    def solved(
        strength: Tensor, start: Tensor | None, stage: str, most: int, state: State | None
    ) -> tuple[TVResult, _Held]:
        held = _Held(Within(checkpoint, stage, lambda: {"strength": strength, "epsilon": epsilon}))
        return solver.solve(
            data,
            alpha=(strength * pull).clamp_min(1e-30),
            epsilon=epsilon,
            weights=weights,
            start=start,
            tolerance=tolerance,
            most_iterations=most,
            state=state,
            checkpoint=held,
        ), held

    going_on = earlier.get("last")
    if data.ndim == 5 and going_on is None:
        strong = torch.full_like(pull, STRONG)
        tried, held = solved(strong, image, "trial", min(TRIAL, most_iterations), earlier.get("trial"))
        image, strength = tried.image, _weaker(strong, tried.discrepancy / delta.to(tried.discrepancy))
        if torch.equal(strength, strong):
            going_on = held.last
    if strength is None:
        strength = torch.full_like(pull, STRENGTH)
    return solved(strength, image, "last", most_iterations, going_on)[0].image


@dataclass
class _Held:
    """A checkpoint that knows the last state that it was offered."""

    whole: Checkpoint
    last: State = None

    def recall(self, device: torch.device) -> State | None:
        return self.whole.recall(device)

    def offer(self, state: Callable[[], State]) -> None:
        self.last = state()
        self.whole.offer(lambda: self.last)


def _start(
    operator: LinearOperator, data: Tensor, alpha: Tensor, weights: Tensor | None, most_iterations: int
) -> Tensor:
    """Where the first solution begins: a few steps of CGLS, or, of a volume that can be halved, its solution there.

    Of half the resolution a sum of squares has an eighth of the terms, and total variation, a sum over voxels that an
    edge cuts, a fourth: so half of ``alpha`` weighs as much.
    """
    half = operator.halved() if data.ndim == 5 else None
    if half is None:
        return cgls(operator, data, most_iterations=8, weights=weights).image
    means, counted = half_data(data, weights)
    begun = _start(half, means, alpha / 2, counted, most_iterations)
    coarse = HuberTVSolver(half, means).solve(
        means, alpha=(alpha / 2).clamp_min(1e-30), epsilon=_epsilon(begun), weights=counted, start=begun,
        tolerance=TOLERANCE_IN_SPACE, most_iterations=most_iterations,
    )  # fmt: skip
    return doubled(coarse.image, operator.domain_shape[1:])


def _epsilon(image: Tensor) -> Tensor:
    span = image.flatten(1).amax(1).clamp_min(0) - image.flatten(1).amin(1).clamp_min(0)
    return (RELATIVE_EPSILON * span).clamp_min(1e-12)


def _weaker(strong: Tensor, left: Tensor) -> Tensor:
    """The strengths of images that left so much, in units of delta."""
    strength = strong
    for most, weaker in reversed(WEAKER):
        strength = torch.where(left > most, torch.full_like(strong, weaker), strength)
    return strength
