"""The order of the gallery, and what each example starts from."""

from __future__ import annotations

import random
import warnings
from typing import Any

import numpy
import torch

# By what a newcomer needs first; what is not listed follows in the order of its name.
FIRST = (
    "plot_first_reconstruction.py", "plot_certificate.py", "plot_counts.py", "plot_own_geometry.py",
    "plot_half_fan.py", "plot_cone_beam.py", "plot_stack.py",
    "plot_wrong_axis.py", "plot_rings.py", "plot_missing_cells.py", "plot_calibrate.py",
    "plot_limited_angle.py", "plot_audit.py", "plot_members.py", "plot_compare.py", "plot_report.py",
    "plot_own_direction.py", "plot_own_network.py", "plot_own_energy.py", "plot_training_loop.py",
    "plot_dicom.py", "plot_pacs.py",
    "plot_peers.py", "plot_two_pixels.py", "plot_superresolution.py", "plot_sudoku.py",
)  # fmt: skip

_KEPT: list[Any] = []


class Order:
    """A key to sort by, made as Sphinx-Gallery makes it: with the folder of the examples."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, name: str) -> tuple[int, str]:
        return (FIRST.index(name) if name in FIRST else len(FIRST), name)

    def __repr__(self) -> str:  # a part of the build's configuration, which must not change from run to run
        return "Order"


def calm(conf: dict[str, Any], name: str, when: str) -> None:
    """Before each example the same random numbers, and every warning an error; after it as it was.

    Left out are torch's word about its own forward mode and Matplotlib's about `plt.show()` without a screen.
    """
    if when == "after":
        warnings.resetwarnings()  # Python forgets what it looked up
        warnings.filters[:] = _KEPT
        return
    random.seed(0)
    numpy.random.seed(0)
    torch.manual_seed(0)
    _KEPT[:] = warnings.filters
    warnings.resetwarnings()
    warnings.filterwarnings("error")
    warnings.filterwarnings("ignore", message=".torch.jit.script. is deprecated", category=DeprecationWarning)
    warnings.filterwarnings("ignore", message="FigureCanvasAgg is non-interactive", category=UserWarning)
