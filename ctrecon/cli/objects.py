"""The objects that figures are drawn on: none of them is in any network's training data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from ctrecon.simulation.scanners import Scanner


def walnut_object(problem: Scanner, seed: int) -> Tensor:
    """A walnut phantom that fills the scanner's field of view, in 1/mm: ``[1, 1, rows, columns]``."""
    import numpy as np
    import torch

    from ctrecon.measurement.scan import WATER_MU_PER_MM
    from ctrecon.phantoms import Walnut

    radius = problem.grid.reach_mm() * 0.96
    phantom = Walnut().sample(np.random.default_rng(seed)).scaled(radius, WATER_MU_PER_MM)
    return torch.from_numpy(phantom.image(problem.grid))[None, None]


def slice_object(path: Path, problem: Scanner) -> Tensor:
    """A CT slice brought to the grid and cut to the field of view, in 1/mm: ``[1, 1, rows, columns]``."""
    from ctrecon.dicom.images.images import attenuation, read_ct_slice
    from ctrecon.studies.benchmarks import images_as_set

    return images_as_set(path.name, [attenuation(read_ct_slice(path))], problem).truth
