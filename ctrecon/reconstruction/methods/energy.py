"""The learned method: a network's directions, or any others, dissipated until delta is met.

"Controlling Neural Networks via Energy Dissipation", Algorithm 1, with the looks of ``ctrecon/networks/looks.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from ctrecon.classical.smooth import smooth_image
from ctrecon.classical.tv_solver import HuberTVSolver
from ctrecon.descent.descend import Iterate, descend
from ctrecon.descent.directions import Direction
from ctrecon.descent.stopping import Discrepancy, Plateau
from ctrecon.networks.looks import LOOKS, look_and_descend
from ctrecon.networks.pretrained import load_ct_network, usual_ct_weights
from ctrecon.networks.slices import fitted
from ctrecon.reconstruction.methods._following import followed
from ctrecon.reconstruction.objective import Objective
from ctrecon.reconstruction.problem import Outcome, Problem, Watch
from ctrecon.support.checkpoint import NOWHERE, Checkpoint, State, Within
from ctrecon.support.torch_state import as_its_caller_set_torch

PLACE = 10
TITLE = "learned directions, bent downhill (energy dissipation)"
VOLUMES_HELD = 24.0
ITERATIONS, ITERATIONS_ALONG = 30, 200


def energy(
    problem: Problem,
    *,
    prior: nn.Module | str | Path | None = None,
    direction: Direction | None = None,
    objective: Objective | None = None,
    looks: int = LOOKS,
    iterations: int | None = None,
    watch: Watch | None = None,
    checkpoint: Checkpoint = NOWHERE,
) -> Outcome:
    """The network's directions, dissipated, until delta is met: the paper's method.

    On a volume the network sees slice by slice, and of each as many neighbours as it was trained with.

    Args:
        problem: What is to be solved.
        prior: The network, the name of weights or their file, None for the usual ones; each iteration is one pass of
            it, a look at another mirror image.
        direction: Any callable from a point to a tensor like ``point.u``; then no network is asked.
        objective: The energy that falls; None for the misfit itself.
        looks: So many iterations at least.
        iterations: At most; None for 30, or 200 along a direction of one's own.
        watch: Hears of every iteration.
        checkpoint: Keeps what it goes on from.

    Returns:
        The image ``[rows, columns]``, why it ended, and its history.

    Raises:
        WeightsError: For a network that cannot be read.
        SettingError: For a direction that returns something else.
    """
    lowered = problem.energy if objective is None else objective.energy
    if direction is not None:
        own, most = as_its_caller_set_torch(direction), ITERATIONS_ALONG if iterations is None else iterations
        rules = (Discrepancy(problem.delta.value), Plateau(1e-4))
        return followed(
            lambda state: descend(lowered, own, problem.start, stop=rules, most_iterations=most, state=state),
            watch, problem.device, checkpoint,
        )  # fmt: skip
    misfit, operator = problem.energy, problem.operator
    usual = usual_ct_weights(in_space=len(problem.shape) == 3)
    network = prior if isinstance(prior, nn.Module) else load_ct_network(usual if prior is None else prior)[0]
    delta = torch.full((1,), problem.delta.value, dtype=torch.float64, device=problem.device)
    earlier = checkpoint.recall(problem.device) or {}
    smooth = earlier.get("smooth")
    if smooth is None:
        smooth = smooth_image(
            HuberTVSolver(operator, misfit.data), misfit.data, delta, misfit.weights,
            state=earlier.get("smoothing"), checkpoint=Within(checkpoint, "smoothing"),
        )  # fmt: skip
    found = smooth

    def path(state: State | None) -> Iterator[Iterate]:
        return look_and_descend(
            fitted(network, len(problem.shape)).to(problem.device), lowered, problem.precondition, found, delta,
            looks=looks,
            level=None if objective is None else objective.level or 0.0,
            most_iterations=ITERATIONS if iterations is None else iterations, stop=(Plateau(0.01),), state=state,
        )

    return followed(path, watch, problem.device, Within(checkpoint, "descent", lambda: {"smooth": found}))
