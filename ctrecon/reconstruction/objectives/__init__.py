"""Which energy a descent lowers, by its name: a file in ``data_terms/`` or ``regularisers/`` is one, by being there.

Data terms compare with the data, regularisers say how rough an image is and are added with a weight. What ends the
descent and what is certified is the misfit of the data all the same (``ctrecon/reconstruction/objective.py``). The
function that makes one bears the name of its file; ``--energy`` and ``--regularise`` take it with hyphens.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ctrecon.errors import SettingError
from ctrecon.support.folder import members

if TYPE_CHECKING:
    from ctrecon.reconstruction.objective import Objective


def _names(folder: str) -> tuple[str, ...]:
    return tuple(name.replace("_", "-") for name in members(f"{__name__}.{folder}"))


ENERGIES = _names("data_terms")
"""What ``--energy`` takes."""
REGULARISERS = _names("regularisers")
"""What ``--regularise`` takes."""


def load_energy(name: str) -> Callable[..., Objective]:
    """The function of an energy that compares with the data.

    Args:
        name: One of ``ENERGIES``.

    Returns:
        From a problem to an objective.

    Raises:
        SettingError: Where there is none of that name.
    """
    energy: Callable[..., Objective] = _load("energy", name, "data_terms", ENERGIES)
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
    regulariser: Callable[..., Objective] = _load("regulariser", name, "regularisers", REGULARISERS)
    return regulariser


def _load(what: str, name: str, folder: str, names: tuple[str, ...]) -> Any:
    if name not in names:
        raise SettingError(f"there is no {what} {name[:60]!r}; use {', '.join(names)}")
    file = name.replace("-", "_")
    return getattr(importlib.import_module(f"{__name__}.{folder}.{file}"), file)
