"""Which energy a descent lowers, by its name: one line here and one file in this folder make a new one.

``ENERGIES`` compare with the data, ``REGULARISERS`` say how rough an image is and are added with a weight. What ends
the descent and what is certified is the misfit of the data all the same (``objective.py``).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ctrecon.reconstruction.objectives.objective import Objective

ENERGIES: dict[str, tuple[str, str]] = {  # the file in this folder, and the function in it: (problem) -> Objective
    "least-squares": ("least_squares", "least_squares"),
    "poisson": ("poisson", "poisson"),
}
REGULARISERS: dict[str, tuple[str, str]] = {  # (problem, objective, weight) -> Objective
    "huber-tv": ("huber_tv", "with_huber_tv"),
}


def load_energy(name: str) -> Callable[..., Objective]:
    """The function of ``ENERGIES`` called ``name``."""
    energy: Callable[..., Objective] = _load(ENERGIES[name])
    return energy


def load_regulariser(name: str) -> Callable[..., Objective]:
    """The function of ``REGULARISERS`` called ``name``."""
    regulariser: Callable[..., Objective] = _load(REGULARISERS[name])
    return regulariser


def _load(place: tuple[str, str]) -> Any:
    return getattr(importlib.import_module(f"{__name__}.{place[0]}"), place[1])
