"""Which energy a descent lowers, by its name: one line here and one file in this folder make a new one.

``ENERGIES`` compare with the data, ``REGULARISERS`` say how rough an image is and are added with a weight. What ends
the descent and what is certified is the misfit of the data all the same (``objective.py``).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ctrecon.errors import SettingError

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
    """The function of an energy that compares with the data.

    Args:
        name: One of ``ENERGIES``.

    Returns:
        From a problem to an objective.

    Raises:
        SettingError: Where there is none of that name.
    """
    energy: Callable[..., Objective] = _load("energy", name, ENERGIES)
    return energy


def load_regulariser(name: str) -> Callable[..., Objective]:
    """The function of a regulariser.

    Args:
        name: One of ``REGULARISERS``.

    Returns:
        From a problem, an objective and a weight to the objective of the sum.

    Raises:
        SettingError: Where there is none of that name.
    """
    regulariser: Callable[..., Objective] = _load("regulariser", name, REGULARISERS)
    return regulariser


def _load(what: str, name: str, places: dict[str, tuple[str, str]]) -> Any:
    if name not in places:
        raise SettingError(f"there is no {what} {name[:60]!r}; use {', '.join(places)}")
    file, function = places[name]
    return getattr(importlib.import_module(f"{__name__}.{file}"), function)
