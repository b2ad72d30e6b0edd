"""OS-SART: SIRT by ordered subsets of the views, stopped at delta (``ctrecon/classical/sirt.py``)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ctrecon.classical.sirt import os_sart_iterates
from ctrecon.operators.base import LinearOperator
from ctrecon.operators.choose import choose, place_matrix
from ctrecon.operators.sparse import SparseOperator
from ctrecon.reconstruction.methods._following import until_delta
from ctrecon.reconstruction.problem import Outcome, Problem, Watch
from ctrecon.support.checkpoint import NOWHERE, Checkpoint

PLACE = 70
TITLE = "OS-SART (SIRT by ordered subsets)"
# Views in each subset, about; fewer of these draw streaks before they agree.
SUBSET = 12


def os_sart(
    problem: Problem, *, iterations: int = 200, watch: Watch | None = None, checkpoint: Checkpoint = NOWHERE
) -> Outcome:
    """SART by subsets of about 12 views each, spread over all angles, with non-negativity, stopped at delta."""
    energy = problem.energy
    views = energy.data.shape[2]
    count = max(1, round(views / SUBSET))
    order = sorted(range(count), key=lambda k: k * 0.6180339887 % 1)  # far from the last one, each time
    subsets = [_some(problem, np.arange(k, views, count)) for k in order]
    return until_delta(
        problem, lambda state: os_sart_iterates(problem.operator, subsets, energy.data, energy.weights, state=state),
        iterations, watch, checkpoint,
    )  # fmt: skip


def _some(problem: Problem, views: np.ndarray[tuple[int], np.dtype[np.intp]]) -> tuple[LinearOperator, Tensor]:
    """The operator of some views, and their numbers on the device."""
    scan, device = problem.scan, str(problem.device)
    chosen = torch.from_numpy(views).to(problem.device)
    if scan.matrix is not None:
        cells = scan.sinogram.shape[1]
        rows = (views[:, None] * cells + np.arange(cells)).ravel()
        own = SparseOperator(scan.matrix[rows], problem.operator.domain_shape, (1, views.size, cells))
        return place_matrix(own, device=device)[0], chosen
    assert scan.geometry is not None
    assert scan.grid is not None
    return choose(scan.geometry.views(views.tolist()), scan.grid, device=device)[0], chosen
